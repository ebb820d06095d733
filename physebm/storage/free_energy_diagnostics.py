"""The table of diagnostics of free energies: what each number means, and what a bad value looks like.

One row per name that a method gives beside its estimate; variables of the group ``/free_energies``.
Methods that share a name mean the same by it; for the others the value is NaN. Diagnostics that are
texts (the way of an exact sum, whose starts a reverse walk had) are not stored.

"Row" is a model on the path from independent units to the one whose log Z is wanted; row 0 is the
independent one. Weights are ``w`` of annealing, ``<w> = Z / Z_0`` forward and ``Z_0 / Z`` in reverse.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

NAT, ONE = "nat", "1"
NEVER = "none: it says what was done, not how well"
UNDESCRIBED = "not described"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One diagnostic.

    Parameters
    ----------
    name
        The variable in the file.
    long_name, units
        In words; "nat", or "1".
    definition, bad_value
        What it is, and what a value looks like that speaks against the estimate.
    methods
        Who gives it, as in [free_energy] method.
    dims
        Axes beyond those of log Z.
    """

    name: str
    long_name: str
    units: str
    definition: str
    bad_value: str
    methods: tuple[str, ...] = ()
    dims: tuple[str, ...] = ()

    def attributes(self) -> dict[str, str]:
        """The netCDF attributes of the variable."""
        return {
            "long_name": self.long_name,
            "units": self.units,
            "definition": self.definition,
            "bad_value": self.bad_value,
            "methods": " ".join(self.methods),
        }


def _of(methods: str, *rows: tuple) -> list[Diagnostic]:
    """Rows ``(name, long_name, units, definition, bad_value, *dims)`` of the same methods."""
    names = tuple(methods.split())
    return [Diagnostic(*row[:5], names, row[5:]) for row in rows]


# fmt: off
_TABLE = [
    *_of("exact",
        ("states", "enumerated states", ONE,
         "states of the smaller side that were summed",
         NEVER),
        ("width", "width of the transfer matrix", ONE,
         "largest number of units whose states are carried along at once",
         NEVER),
        ("held", "held units", ONE,
         "units of the first slab, whose states are summed at the end",
         NEVER),
    ),
    *_of("mbar bar integration stepping-stone",
        ("overlap", "overlap of neighbouring rows", ONE,
         "smallest probability, over all gaps below this temperature, that a draw of one row could "
         "have come from its neighbour; 1/2 for equal rows",
         "below 0.03 suspect, below 0.003 failed: rows are too far apart"),
        ("forward", "log Z by stepping-stones upwards", NAT,
         "log Z_0 + sum over gaps of log <exp(-(u_upper - u_lower))> over draws of the lower row; low"
         " on average",
         "more than 4 errors, or 1 nat, from `backward`"),
        ("backward", "log Z by stepping-stones downwards", NAT,
         "log Z_0 - sum over gaps of log <exp(-(u_lower - u_upper))> over draws of the upper row; "
         "high on average",
         "more than 4 errors, or 1 nat, from `forward`"),
        ("identity_pull", "identity of energy and log Z", ONE,
         "largest difference, in errors, over all gaps below this temperature, between the slope of "
         "log Z that BAR gives with the draws of both rows and minus the mean energy of either",
         "above 5: draws are not those of their rows"),
        ("round_trips", "round trips", ONE,
         "walks of a replica from row 0 to the coldest row and back, all chains together",
         "below 10, or a chain without one: nothing shows that the cold rows forget"),
    ),
    *_of("mbar",
        ("overlap_matrix", "overlap matrix", ONE,
         "O_kl = sum_n N_l W_nk W_nl: the probability that a draw of row k could have come from row "
         "l; rows sum to 1",
         "blocks without entries between them: the ladder falls into parts", "row", "row_to"),
        ("second_eigenvalue", "second eigenvalue of the overlap matrix", ONE,
         "the second largest one; the largest is 1",
         "near 1: the ladder falls into parts that share no states"),
        ("stderr_pymbar", "standard error of log Z by pymbar", NAT,
         "the formula for independent draws times the root of `inefficiency`, of log Z - log Z_0",
         "far below log_z_stderr: draws of different rows are correlated"),
        ("inefficiency", "statistical inefficiency", ONE,
         "2 tau of the slowest row's series, in draws; at least 1",
         "so large that draws of all chains / inefficiency is below 100"),
    ),
    *_of("integration",
        ("discretisation", "discretisation error", NAT,
         "sum over gaps of the distance between the quadratures of fourth and sixth order",
         "above the statistical error: the ladder has too few rows"),
        ("trapezoid", "integral by trapezoids", NAT,
         "log Z - log Z_0 by the rule of second order, for comparison",
         "far from log Z: the corrections carry the integral"),
    ),
    *_of("stepping-stone",
        ("from_bar", "distance from bar", NAT,
         "between log Z by stepping-stones and by BAR from the same draws; part of the error",
         "above the statistical error: the ladder has too few rows"),
        ("effective", "effective draws of a stepping-stone", ONE,
         "smallest (sum w)^2 / sum w^2 over the gaps below, either direction",
         "a few tens, or a small part of all draws"),
    ),
    *_of("stepping-stone ais",
        ("largest_share", "largest share of one weight", ONE,
         "max w / sum w; of stepping-stones the largest over the gaps below, either direction",
         "above 0.1 (stepping-stone) or 0.2 (ais) suspect; above 0.5 ais has failed"),
    ),
    *_of("ais population-annealing",
        ("excess_quenched", "excess of quenched starts", NAT,
         "mean -log w' of walks back from quenched states, less that of walks from forward ends",
         "above 0.5 and 4 errors suspect: forward chains missed a phase, or one is left slowly"),
        ("excess_quenched_stderr", "standard error of the excess of quenched starts", NAT,
         "of the difference of both means over walks, quenched starts",
         "above 0.125: 4 errors hide an excess of 0.5"),
        ("excess_uniform", "excess of uniform starts", NAT,
         "mean -log w' of walks back from uniform states, less that of walks from forward ends",
         "above 0.5 and 4 errors suspect: forward chains missed a phase, or one is left slowly"),
        ("excess_uniform_stderr", "standard error of the excess of uniform starts", NAT,
         "of the difference of both means over walks, uniform starts",
         "above 0.125: 4 errors hide an excess of 0.5"),
        ("excess_data", "excess of starts at data", NAT,
         "mean -log w' of walks back from swept samples of the data, less that of walks from forward "
         "ends",
         "above 0.5 and 4 errors suspect: forward chains missed a phase, or one is left slowly"),
        ("excess_data_stderr", "standard error of the excess of starts at data", NAT,
         "of the difference of both means over walks, starts at data",
         "above 0.125: 4 errors hide an excess of 0.5"),
        ("rows", "rows", ONE,
         "models on the path, both ends included",
         NEVER),
        ("sweeps", "sweeps", ONE,
         "heat-bath sweeps at every row",
         NEVER),
        ("base_log_z", "log Z of row 0", NAT,
         "log Z_0 of independent units, exact",
         NEVER),
        ("reverse", "log Z in reverse", NAT,
         "log Z_0 - log <w> of walks, or of a population annealed, from the last row to row 0",
         "more than 4 errors, or 1 nat, from log_z"),
        ("reverse_stderr", "standard error of log Z in reverse", NAT,
         "by the delta method over chains, or by blocks of families",
         "above 0.2: few reverse weights, or families, count"),
        ("reverse_chains", "reverse chains", ONE,
         "chains of the reverse walk, or walkers of the population that is annealed back",
         "below 10"),
        ("gap", "gap between the directions", NAT,
         "log Z in reverse - log Z forward; its sign is positive where sweeps lag behind the rows",
         "beyond 4 errors, or 1 nat, suspect; beyond 10 nats failed"),
    ),
    *_of("ais",
        ("excess_random", "excess of random starts", NAT,
         "mean -log w' of walks back from swept random states, less that of walks from forward ends",
         "above 0.5 and 4 errors suspect: forward chains missed a phase, or one is left slowly"),
        ("excess_random_stderr", "standard error of the excess of random starts", NAT,
         "of the difference of both means over walks, random starts",
         "above 0.125: 4 errors hide an excess of 0.5"),
        ("chains", "forward chains", ONE,
         "independent forward weights",
         "below 10"),
        ("ess", "effective sample size", ONE,
         "(sum w)^2 / sum w^2 of the forward weights",
         "below 25 of many chains suspect, below 4 failed"),
        ("log_weight_variance", "variance of the log-weights", ONE,
         "of the forward log w over chains",
         "above log(1 + chains / 25): log-normal weights would need exp(variance) chains"),
        ("bias", "bias of log Z", NAT,
         "by the jackknife over forward chains; about -log_z_stderr^2 / 2",
         "as large as the standard error"),
        ("jackknife_stderr", "standard error by the jackknife", NAT,
         "of log Z, leaving out one forward chain at a time",
         "far above log_z_stderr; infinite where one chain has all weight"),
        ("low_stderr", "standard error of the lower end", NAT,
         "of the mean forward log-weight",
         "as large as the bracket is wide"),
        ("high_stderr", "standard error of the upper end", NAT,
         "of the mean reverse log-weight",
         "as large as the bracket is wide"),
        ("log_weights", "forward log-weights", NAT,
         "log w of every forward chain",
         "a few far above all others, or two groups", "forward_chain"),
        ("reverse_ess", "effective sample size in reverse", ONE,
         "(sum w)^2 / sum w^2 of the reverse weights",
         "below 25 of many chains"),
        ("reverse_largest_share", "largest share of one reverse weight", ONE,
         "max w / sum w of the reverse weights",
         "above 0.2"),
        ("reverse_log_weight_variance", "variance of the reverse log-weights", ONE,
         "of the reverse log w over chains",
         "above log(1 + reverse chains / 25)"),
        ("reverse_log_weights", "reverse log-weights", NAT,
         "log w of every reverse chain",
         "a few far above all others, or two groups", "reverse_chain"),
    ),
    *_of("population-annealing",
        ("population", "population", ONE,
         "R, the walkers of one run",
         "10 or less"),
        ("runs", "runs", ONE,
         "independent populations",
         NEVER),
        ("run_log_z", "log Z of every run", NAT,
         "of independent populations",
         "runs that differ by more than their families allow", "run"),
        ("run_scatter", "standard error by the scatter of runs", NAT,
         "of the mean weight of independent runs, delta method",
         "significantly above that of the families: some runs missed a phase"),
        ("rho_t", "mean square family size", ONE,
         "R sum_i n_i^2, n_i the share of family i of the last population",
         "above 1 + R / 25 suspect, above 1 + R / 4 failed; R: one family is left", "run"),
        ("rho_s", "entropic family size", ONE,
         "R exp(sum_i n_i log n_i)",
         "above R / 10 failed: fewer than 10 effective families; suspect: fewer than 100 in all runs",
         "run"),
        ("families", "surviving families", ONE,
         "origins with a copy in the last population",
         "a few, of many walkers", "run"),
        ("drift", "drift of the ends", NAT,
         "mean change of u of the runs' ends by sweeps at the last row",
         "beyond 5 errors: the population does not stand for the last row"),
        ("drift_stderr", "standard error of the drift of the ends", NAT,
         "by blocks of neighbouring walkers",
         NEVER),
        ("smallest_step_share", "smallest effective share of a step", ONE,
         "over all rows, the mean over runs of (sum w)^2 / sum w^2 / R of the weights of one step",
         "below 0.5 suspect; rows are placed for 0.9"),
    ),
    *_of("mean-field tap bethe",
        ("fixed_point_log_z", "log Z of every fixed point", NAT,
         "the functional at each, the largest first",
         "several within a nat: phases whose weights add", "fixed_point"),
        ("fixed_point_norm", "order of every fixed point", ONE,
         "root mean square of m (Ising, continuous), 2m - 1 (Bernoulli), Potts order; over all units",
         NEVER, "fixed_point"),
        ("smallest_eigenvalue", "smallest eigenvalue of the Hessian", ONE,
         "at each fixed point, relative to independent units: 1 without couplings",
         "below 0: a saddle point, which is not taken; near 0: close to a transition", "fixed_point"),
        ("iterations", "passes until convergence", ONE,
         "of the start that came to each fixed point first",
         "near 3000, where starts are given up", "fixed_point"),
        ("residual", "last change of a moment", ONE,
         "at each fixed point, of an undamped pass",
         "above 1e-11 there is no fixed point", "fixed_point"),
        ("starts", "starts of every fixed point", ONE,
         "how many starts converged there",
         "1 at many fixed points: there are more that no start leads to", "fixed_point"),
        ("unconverged_starts", "starts that did not converge", ONE,
         "after 3000 passes",
         "above 0: other fixed points may exist; all: there is no estimate"),
    ),
    *_of("tap",
        ("expansion", "stability of the expansion", ONE,
         "1 - largest eigenvalue of V_i J_ij^2 V_j, V the variances; NaN for Potts units",
         "below 0: beyond the line of de Almeida and Thouless"),
    ),
]
# fmt: on

DIAGNOSTICS = {row.name: row for row in _TABLE}
"""All diagnostics by name."""


def diagnostic(name: str, rank: int) -> Diagnostic:
    """The row of a name with `rank` axes beyond those of log Z.

    One without a row, or with other axes than its row says, is stored all the same, and says of itself
    that nothing is known of it: hours of sampling are not lost for want of a definition.
    """
    row = DIAGNOSTICS.get(name)
    if row is not None and len(row.dims) == rank:
        return row
    dims = tuple(f"{name}_{axis}" for axis in range(rank))
    if row is not None:
        return replace(row, dims=dims)
    return Diagnostic(name, name.replace("_", " "), ONE, UNDESCRIBED, UNDESCRIBED, dims=dims)
