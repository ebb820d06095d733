"""The table of everything that is ever stored: what a name means, its units, its axes.

One row per reported name. The definitions are the project's: energies are dimensionless (k_B = 1),
`< >` is the thermal average at one point, `[ ]` the average over disorder samples, "per unit"
means divided by the number of visible units (all units where none is marked visible; a Potts unit
counts once). A quantity lives on the scan axes in declared order, without those that it `drops`
(a disorder average has no `disorder` axis), followed by its own `dims`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from physebm.errors import InputError

PER_UNIT = "per unit (visible units; all units where none is marked visible)"
TOTAL = "total, not per unit"
INTENSIVE = "a ratio; nothing to divide by"
PER_SAMPLE, AVERAGE = "per disorder sample", "disorder average"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One stored name: its meaning in words and mathematics, and the axes that it has.

    Parameters
    ----------
    name
        The variable in the file.
    long_name, symbol
        In words, and as matplotlib mathtext without the dollars.
    definition, normalisation
        The formula, and what it is divided by.
    units
        "1" where dimensionless (k_B = 1), else "sweep", "nat", ...
    dims
        Axes beyond the scan axes.
    drops
        Scan axes that it does not have, because they were averaged over or are part of it.
    """

    name: str
    long_name: str
    symbol: str
    definition: str
    normalisation: str = INTENSIVE
    units: str = "1"
    dims: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()

    @property
    def disorder(self) -> str:
        """Whether one value stands for one disorder sample or for their average."""
        return AVERAGE if "disorder" in self.drops else PER_SAMPLE

    def axes(self, scan: Iterable[str]) -> tuple[str, ...]:
        """All dimensions in order: the scan axes that it has, then its own."""
        return (*(axis for axis in scan if axis not in self.drops), *self.dims)

    def attributes(self) -> dict[str, str]:
        """The netCDF attributes of the variable."""
        return {
            "long_name": self.long_name,
            "units": self.units,
            "symbol": self.symbol,
            "definition": self.definition,
            "normalisation": self.normalisation,
            "disorder": self.disorder,
        }


_ROWS = (
    Quantity(
        "energy",
        "energy per unit",
        "e",
        "<du/dbeta> / N; for beta-independent priors <H> / N",
        PER_UNIT,
    ),
    Quantity(
        "specific_heat",
        "specific heat per unit",
        "c",
        "beta^2 (Var(du/dbeta) - <d2u/dbeta2>) / N, all chains together",
        PER_UNIT,
    ),
    Quantity(
        "specific_heat_within_chains",
        "specific heat within chains, per unit",
        r"c_\mathrm{chain}",
        "mean over chains of beta^2 (Var_chain(du/dbeta) - <d2u/dbeta2>_chain) / N; specific_heat in "
        "equilibrium, less than it where chains sit in states of different energies",
        PER_UNIT,
    ),
    Quantity(
        "magnetisation",
        "magnetisation",
        r"\langle m \rangle",
        "<m>, m = (1/N) sum_i s_i; Bernoulli through 2x - 1; Potts m = (q max_a rho_a - 1)/(q - 1)",
        PER_UNIT,
    ),
    Quantity(
        "abs_magnetisation", "absolute magnetisation", r"\langle |m| \rangle", "<abs m>", PER_UNIT
    ),
    Quantity(
        "magnetisation_squared",
        "squared magnetisation",
        r"\langle m^2 \rangle",
        "<m^2>",
        PER_UNIT,
    ),
    Quantity(
        "magnetisation_fourth",
        "fourth moment of the magnetisation",
        r"\langle m^4 \rangle",
        "<m^4>",
        PER_UNIT,
    ),
    Quantity(
        "susceptibility",
        "susceptibility",
        r"\chi",
        "beta N (<m^2> - <abs m>^2)",
        PER_UNIT,
    ),
    Quantity(
        "binder",
        "Binder cumulant of the magnetisation",
        r"U_4",
        "1 - [<m^4>] / (3 [<m^2>]^2), moments averaged over disorder before the ratio",
        drops=("disorder",),
    ),
    Quantity(
        "pattern_overlap",
        "overlap with every pattern",
        r"m_\mu",
        "m_mu = (1/N) sum_i xi_i^mu s_i",
        PER_UNIT,
        dims=("pattern",),
    ),
    Quantity(
        "retrieval_overlap",
        "retrieval overlap",
        r"m",
        "signed overlap (1/N) sum_i xi_i^mu s_i with the nominated pattern mu (default 0)",
        PER_UNIT,
    ),
    Quantity(
        "max_pattern_overlap",
        "largest pattern overlap",
        r"\max_\mu |m_\mu|",
        "<max_mu abs m_mu>; P random overlaps alone give about sqrt(2 ln P / N), the noise floor",
        PER_UNIT,
    ),
    Quantity(
        "replica_overlap",
        "replica overlap",
        r"\langle q \rangle",
        "<q>, q = (1/N) sum_i s_i^a s_i^b between independent chains at one rung (Bernoulli "
        "through 2x - 1; Potts (q delta - 1)/(q - 1); continuous: cosine)",
        PER_UNIT,
    ),
    Quantity(
        "replica_overlap_squared",
        "squared replica overlap",
        r"\langle q^2 \rangle",
        "<q^2>",
        PER_UNIT,
    ),
    Quantity(
        "replica_overlap_fourth",
        "fourth moment of the replica overlap",
        r"\langle q^4 \rangle",
        "<q^4>",
        PER_UNIT,
    ),
    Quantity(
        "q_edwards_anderson",
        "Edwards-Anderson order parameter",
        r"q_\mathrm{EA}",
        "(1/N) sum_i <s_i>_a <s_i>_b, run means of two untempered chains from the same start",
        PER_UNIT,
    ),
    Quantity(
        "overlap_distribution",
        "distribution of the replica overlap",
        "P(q)",
        "fraction of draws at each exact value of q; sums to 1 over `overlap`",
        "probability mass, not density",
        dims=("overlap",),
    ),
    Quantity(
        "binder_overlap",
        "Binder ratio of the replica overlap",
        "g",
        "(3 - [<q^4>] / [<q^2>]^2) / 2, disorder average before the ratio",
        drops=("disorder",),
    ),
    Quantity(
        "sg_susceptibility",
        "spin-glass susceptibility",
        r"\chi_\mathrm{SG}",
        "N [<q^2>]",
        PER_UNIT,
        drops=("disorder",),
    ),
    Quantity(
        "correlation_length_over_L",
        "correlation length over size",
        r"\xi / L",
        "sqrt(chi(0)/chi(k1) - 1) / (2 sin(k1/2)) / L with k1 = 2 pi / L, chi disorder-averaged, "
        "mean of axes",
        drops=("disorder",),
    ),
    Quantity(
        "acceptance",
        "fraction of accepted moves",
        r"a",
        "accepted proposals / proposals",
        "per proposal",
    ),
    Quantity(
        "swap_acceptance",
        "replica-exchange acceptance",
        r"a_\mathrm{swap}",
        "mean of min(1, exp(W)), the probability of accepting a swap of rungs r and r + 1",
        "per proposed swap",
        dims=("gap",),
        drops=("temperature",),
    ),
    Quantity(
        "ladder_temperature",
        "temperature of a rung",
        "T",
        "temperatures of the frozen ladder; NaN pads shorter ladders",
        dims=("rung",),
        drops=("temperature",),
    ),
    Quantity(
        "round_trips",
        "round trips of walkers",
        r"n_\mathrm{trips}",
        "journeys of a walker from one end of the ladder to the other and back, all walkers",
        TOTAL,
        drops=("temperature",),
    ),
    Quantity(
        "barrier",
        "communication barrier",
        r"\Lambda",
        "sum over gaps of 2 erfinv(r) / sqrt(pi) (r where small), r the mean rejection of a swap",
        "total over the ladder",
        drops=("temperature",),
    ),
    Quantity("log_z", "logarithm of the partition function", r"\log Z", "log Z", TOTAL, "nat"),
    Quantity(
        "log_likelihood",
        "log-likelihood of the data",
        r"\mathcal{L}",
        "mean over data vectors of log p(v)",
        "per data vector",
        "nat",
    ),
    Quantity("free_energy", "free energy per unit", "f", "F / N = -log Z / (beta N)", PER_UNIT),
    Quantity(
        "entropy",
        "entropy per unit",
        "s",
        "(log Z + beta <du/dbeta>) / N = -(dF/dT) / N; relative to the prior for continuous units",
        PER_UNIT,
        "nat",
    ),
)

QUANTITIES: dict[str, Quantity] = {row.name: row for row in _ROWS}

_AXES: dict[str, tuple[str, str, str]] = {
    "temperature": ("temperature", "T", "1"),
    "beta": ("inverse temperature", r"\beta", "1"),
    "alpha": ("load", r"\alpha", "1"),
    "L": ("linear size", "L", "1"),
    "N": ("number of units", "N", "1"),
    "P": ("number of patterns", "P", "1"),
    "J": ("coupling", "J", "1"),
    "h": ("field", "h", "1"),
    "q": ("number of states", "q", "1"),
    "start": ("initial state", "", "1"),
    "disorder": ("disorder sample", "", "1"),
    "pattern": ("pattern", r"\mu", "1"),
    "overlap": ("replica overlap", "q", "1"),
    "overlap_value": ("replica overlap", "q", "1"),
    "chain": ("chain", "", "1"),
    "draw": ("time", "t", "sweep"),
    "sweeps": ("sweeps measured", "", "sweep"),
    "update": ("training time", "t", "update"),
    "rung": ("rung", "r", "1"),
    "gap": ("pair of neighbouring rungs", "(r, r+1)", "1"),
    "estimator": ("method of estimation", "", "1"),
}

TAU_DEFINITION = "every x (1/2 + sum_t rho(t)), windowed; n_eff = sweeps / (2 tau)"


def quantity(name: str) -> Quantity:
    """The row of the table; an unknown name is refused with the nearest one."""
    try:
        return QUANTITIES[name]
    except KeyError:
        raise InputError(f"reported quantity {name}", got=name, expected=sorted(QUANTITIES)) from None


def axis_attributes(name: str) -> dict[str, str]:
    """The attributes of a coordinate; a model's own parameter is called by its name."""
    long_name, symbol, units = _AXES.get(name, (name.replace("_", " "), "", "1"))
    return {"long_name": long_name, "units": units, "symbol": symbol}
