"""Population annealing: annealed runs that are resampled at every row, and what their families tell.

A population of R walkers starts with draws of row 0. At every step it is reweighted to the next row,
resampled in proportion to the weights ``w = exp(u_{k-1} - u_k)``, and swept there; then

    log Z_K = log Z_0 + sum_k log ((1/R) sum w_k)

(K. Hukushima, Y. Iba, AIP Conf. Proc. 690, 200 (2003); J. Machta, Phys. Rev. E 82, 026704 (2010)).
Resampling is systematic at a fixed R, so that every walker has on average the copies it is due; with
rows that were chosen beforehand ``<Z_K>`` is exact at any R. Its log is low by half its relative
variance.

Walkers of one origin are a *family*, n_i its share of the last population (W. Wang, J. Machta, H. G.
Katzgraber, Phys. Rev. E 92, 063307 (2015)):

    rho_t = R sum_i n_i^2             1 without selection; R where one family is left
    rho_s = R / exp(S_f),  S_f = -sum_i n_i log n_i

A family's share is its weight under all rows. Families are independent, so that the relative variance
of one run's Z is that of a sum of shares, ``(rho_t - 1)/R`` (H. P. Chan, T. L. Lai, Ann. Statist. 41,
2877 (2013)). Numbers of copies are whole, which adds to every n_i what its neighbours lack;
systematic resampling keeps the order of families, so sums over blocks of neighbours are free of that,
and the error is taken from the shares of `BLOCKS` blocks.

Independent runs share one call; they are averaged with their Z as weights, which is what one larger
population would give (Machta's weighted averages), and their scatter checks the error.

The verdict asks for populations much larger than rho_t (Wang, Machta, Katzgraber: statistical errors go
as ``sqrt(rho_t / R)``, systematic ones as 1/R) and for a hundred families, ``S_f >= log 100``:

    rho_t         ``(rho_t - 1)/R``, the relative variance of a run's Z, beyond `weights.ERROR` squared:
                  R is below some 25 rho_t, and log Z is not linear in Z any more
    families      fewer than `FAMILIES` effective ones, ``exp(-sum_ri omega_r n_ri log omega_r n_ri)``,
                  in all runs with weights omega_r proportional to Z_r: it is their average that is
                  reported. A single run with fewer than `FEWEST_FAMILIES` has failed
    steps         one step leaves less than `STEP_SHARE` of a population (effective number, mean over
                  runs): of weights that uneven the largest are seldom drawn, and families know only
                  those that were
    scatter       the runs differ by more than their families allow
    drift         ends of the runs, swept at the target, change their mean energy by more than `DRIFT`
                  errors: a population that stands for the target keeps it, however slow sweeps are
    directions    a population that is annealed back from these ends gives another log Z
    cold starts   walks back from quenched and uniform states lie above those from ends: `cold`

Numbers of families alone do not depend on R: a small population of an easy model may be a good one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.backends.base import Backend
from physebm.errors import InputError
from physebm.free_energy import averages
from physebm.free_energy.annealed import PADDING, ROUNDING, States, gap_findings, reverse
from physebm.free_energy.cold import (
    FEWEST,
    RELAX,
    Excess,
    cold_findings,
    cold_numbers,
    cold_starts,
    excess,
    kinds,
)
from physebm.free_energy.estimate import Estimate, Finding, Verdict, judged
from physebm.free_energy.path import Path
from physebm.free_energy.population_runs import BLOCKS, Families, Populations, families, populations
from physebm.free_energy.walkers import Progress, Walkers
from physebm.free_energy.weights import ERROR, WORST_ERROR, log_mean
from physebm.observables.chains import limit
from physebm.observables.reweighting import log_mean_exp
from physebm.rng.streams import key_of

METHOD = "population-annealing"
# Effective numbers of families: in all runs, suspect; in a single one, failed.
FAMILIES, FEWEST_FAMILIES = 100, 10
# Walkers that are annealed back, at least: an eighth of all otherwise.
BACK = 512
# Errors by which the energy of ends may drift; the errors are those of `BLOCKS` blocks.
DRIFT = 5.0
# Smallest effective share of a population that a step may leave; rows are placed for 0.9.
STEP_SHARE = 0.5
# Differences that are rounding, relative to log Z.
NEGLIGIBLE = 1e-9


def population_annealing(
    path: Path,
    backend: Backend,
    seed: int = 0,
    name: tuple[object, ...] = (),
    *,
    population: int = 1000,
    runs: int = 8,
    sweeps: int = 1,
    data: States | None = None,
    progress: Progress | None = None,
) -> Estimate:
    """The log Z of the last row of a path by population annealing, with a reverse walk of its ends.

    Rows at which each step keeps the same share of the population are those of `schedule.adaptive`.
    Memory: the configurations of all walkers, and averages per row. Cost: ``rows * sweeps`` sweeps of
    all walkers, a quarter of that for the reverse, and three sixteenths for cold starts and the ends
    that they are held against; starts make `cold.RELAX` sweeps at least.

    Parameters
    ----------
    seed, name
        What the random words are addressed by.
    population, runs
        R, and the number of independent runs that are averaged.
    sweeps
        Heat-bath sweeps at every row.
    data
        Configurations of all groups at data, as `data_starts` gives them: one more kind of cold start.
    progress
        Called with rows done and rows in all.

    Raises
    ------
    InputError
        for a population of less than 2, or no run.
    StudyError
        for a weight that is not finite.
    """
    if population < 2 or runs < 1:
        raise InputError(
            "population-annealing.population",
            got=f"{population} walkers in {runs} runs",
            expected="2 walkers or more, in 1 run or more",
        )

    def key(what: str) -> tuple[int, int]:
        return key_of(seed, "population", *name, what)

    recorded = populations(path, backend, key("runs"), runs, population, sweeps, progress)
    begun, drift = _ends(
        path, backend, key("starts"), recorded, max(BACK, population * runs // 8), sweeps
    )
    count = len(next(iter(begun.values())))
    back = populations(path, backend, key("reverse"), 1, count, sweeps, start=begun)
    found = _cold(path, backend, key("cold"), begun, sweeps, data)
    return from_populations(path, recorded, back, found, drift, {"sweeps": sweeps})


def _ends(path, backend, key, recorded: Populations, count: int, sweeps: int):
    """Ends of the runs, evenly spaced: relatives, which are neighbours, stay neighbours.

    They are swept at the target as often as cold starts are: what a run with few rows has no time for.
    Returns them, and the drift of u that this made, with its error.
    """
    walkers = Walkers(path, backend, key, min(recorded.family.size, count))
    rows = np.linspace(0, recorded.family.size - 1, len(walkers)).astype(int)
    walkers.place({group: x[rows] for group, x in recorded.ends.items()})
    before = path.potentials(walkers.energies)[:, -1]
    walkers.move(path.rows - 1, max(path.rows * sweeps, RELAX))
    change = path.potentials(walkers.energies)[:, -1] - before
    blocks = [each.mean() for each in np.array_split(change, min(BLOCKS, len(change)))]
    error = np.std(blocks, ddof=1) / np.sqrt(len(blocks))
    return walkers.state.x, (float(change.mean()), float(error))


def _cold(path, backend, key, ends: States, sweeps: int, data: States | None) -> dict[str, Excess]:
    """Walks back without resampling, from half of the ends and from as many cold starts."""
    half = {group: x[::2] for group, x in ends.items()}
    ends = len(next(iter(half.values())))
    count = max(FEWEST, ends)
    cold = cold_starts(path, backend, key, count, path.rows * sweeps, data)
    begun = {group: np.concatenate([x, cold[group]]) for group, x in half.items()}
    log_w = reverse(path, backend, key, begun, sweeps).log_w
    return {kind: excess(log_w[:ends], each) for kind, each in kinds(log_w[ends:], count).items()}


def from_populations(
    path: Path,
    recorded: Populations,
    back: Populations | None = None,
    cold: Mapping[str, Excess] | None = None,
    drift: tuple[float, float] | None = None,
    more: Mapping[str, object] | None = None,
) -> Estimate:
    """An estimate from recorded runs, judged.

    `low` is the mean of the runs' log Z, a bound on average, less two standard errors; `high` the value
    of `back`, the other bound on average, and two of its errors. What goes back from the ends of the
    runs sees what they saw: it tells whether they kept up with the rows, not whether one is missing.
    The scatter of the runs shows that, unless all missed it; cold starts, unless they miss it, too.

    Parameters
    ----------
    back
        One population that was annealed back from ends of the runs.
    cold
        Excess of other kinds of starts by name; see `cold`.
    drift
        Change of u of the ends by sweeps at the target, and its error.
    more
        Further diagnostics to keep.
    """
    log_z = recorded.log_z[:, -1]
    runs, R = recorded.family.shape
    kin, value = families(recorded.family, recorded.effective), float(log_mean_exp(log_z))
    share = np.exp(log_z - value) / runs
    stderr = float(np.sqrt(np.sum((share * kin.stderr) ** 2)))
    found = _family_findings(kin, share, R)
    # the mean over runs: in a single one a rare walker may have much of one step by chance
    smallest = float(recorded.effective.mean(axis=0).min(initial=1.0))
    if smallest < STEP_SHARE:
        reason = f"a step leaves {smallest:.0%} of a population, {STEP_SHARE:.0%} needed: more rows"
        found.append(Finding(Verdict.SUSPECT, reason))
    scatter, scattered = float("nan"), False
    if runs > 1:
        scatter = log_mean(log_z).stderr
        scattered = scatter > limit(runs) * stderr + NEGLIGIBLE * (1.0 + abs(value))
        if scattered:
            ratio = f"{scatter / stderr:.1f} times" if stderr > 0 else "infinitely often"
            reason = f"runs scatter by {ratio} what their families allow: a larger population"
            found.append(Finding(Verdict.SUSPECT, reason))
            stderr = scatter
    diagnostics: dict[str, object] = {
        "rows": path.rows,
        "population": R,
        "runs": runs,
        "base_log_z": path.base_log_z,
        "run_log_z": log_z,
        "run_scatter": scatter,
        "rho_t": kin.rho_t,
        "rho_s": kin.rho_s,
        "families": kin.surviving,
        "smallest_step_share": smallest,
        "averages": averages.of_runs(value, log_z, recorded.final, recorded.family, BLOCKS, scattered),
        **(more or {}),
    }
    high = float("nan")
    if back is not None:
        in_reverse, kin = float(back.log_z[0, -1]), families(back.family, back.effective)
        error = float(kin.stderr[0])
        high = in_reverse + PADDING * error
        diagnostics |= {
            "reverse": in_reverse,
            "reverse_stderr": error,
            "reverse_chains": back.family.size,
            "gap": in_reverse - value,
        }
        if error > ERROR:
            reason = f"the reverse has an error of {error:.2g}: a larger population, or more rows"
            found.append(Finding(Verdict.SUSPECT, reason))
        base = path.base_log_z
        found += gap_findings(value - base, stderr, in_reverse - base, error)
    if drift is not None:
        diagnostics |= {"drift": drift[0], "drift_stderr": drift[1]}
        if abs(drift[0]) > DRIFT * drift[1] + ROUNDING * (1.0 + abs(value)):
            reason = (
                f"sweeps at the target change the energy of the ends by {drift[0]:.3g} +- "
                f"{drift[1]:.1g} nats: a larger population, more rows or sweeps"
            )
            found.append(Finding(Verdict.SUSPECT, reason))
    if cold:
        diagnostics |= cold_numbers(cold)
        found += cold_findings(cold)
        high = max([high, *(path.base_log_z + each.top for each in cold.values() if each.counts)])
    verdict, reason = judged(found)
    low = float(log_z.mean()) - PADDING * stderr
    return Estimate(METHOD, value, stderr, low, high, verdict, reason, diagnostics)


def _family_findings(kin: Families, share: np.ndarray, R: int) -> list[Finding]:
    """By the worst run, and by all runs with their shares ``[run]``; see the module."""
    found = []
    rho_t = float(kin.rho_t.max())
    error = np.sqrt((rho_t - 1.0) / R)
    if error > ERROR:
        verdict = Verdict.FAILED if error > WORST_ERROR else Verdict.SUSPECT
        reason = f"rho_t = {rho_t:.3g} is too large for a population of {R}: a larger one, or more rows"
        found.append(Finding(verdict, reason))
    of_run = R / kin.rho_s
    kept = share > 0.0
    effective = float(np.exp(np.sum(share[kept] * np.log(of_run[kept] / share[kept]))))
    if of_run.min() < FEWEST_FAMILIES:
        reason = f"{of_run.min():.1f} effective families in a run: fewer than {FEWEST_FAMILIES}"
        found.append(Finding(Verdict.FAILED, reason))
    elif effective < FAMILIES:
        reason = f"{effective:.1f} effective families in all runs: fewer than {FAMILIES}"
        found.append(Finding(Verdict.SUSPECT, reason))
    return found
