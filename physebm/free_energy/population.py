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
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from physebm.backends.base import Backend
from physebm.errors import InputError
from physebm.free_energy.annealed import gap_findings, reverse
from physebm.free_energy.estimate import Estimate, Finding, Verdict, judged
from physebm.free_energy.path import Path
from physebm.free_energy.schedule import offset
from physebm.free_energy.walkers import Progress, Walkers
from physebm.free_energy.weights import ERROR, WORST_ERROR, findings, log_mean, systematic
from physebm.observables.chains import limit
from physebm.observables.reweighting import effective_sample_size, log_mean_exp
from physebm.rng.streams import key_of

METHOD = "population-annealing"
# Effective numbers of families exp(S_f): suspect (as Wang, Machta and Katzgraber have it), failed.
FAMILIES, FEWEST_FAMILIES = 100, 10
# Blocks of families for the error of a run, which is then good to 16 per cent.
BLOCKS = 20


@dataclass(frozen=True)
class Populations:
    """What independent runs recorded.

    Attributes
    ----------
    log_z
        ``log Z_k`` of every row ``[run, row]``, absolute.
    family
        Origin of the walkers at the end, ``[run, walker]``.
    energies
        Term energies averaged over the population after the sweeps at each row, ``[run, row, term]``.
    effective
        Effective sample size of each step, as a share of R, ``[run, row - 1]``.
    ends
        Configurations at the last row ``{group: x[run * walker, unit]}``, run after run.
    """

    log_z: np.ndarray
    family: np.ndarray
    energies: np.ndarray
    effective: np.ndarray
    ends: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Families:
    """Family statistics, and the error of log Z from blocks of families; ``[run]`` each."""

    rho_t: np.ndarray
    rho_s: np.ndarray
    surviving: np.ndarray
    stderr: np.ndarray


def populations(
    path: Path,
    backend: Backend,
    key: tuple[int, int],
    runs: int,
    population: int,
    sweeps: int = 1,
    progress: Progress | None = None,
) -> Populations:
    """Independent runs of R = `population` walkers along the rows of a path, in one call."""
    walkers = Walkers(path, backend, key, runs * population)
    walkers.draw()
    rows, terms = path.rows, walkers.energies.shape[1]
    log_z = np.full((runs, rows), path.base_log_z)
    energies, effective = np.empty((runs, rows, terms)), np.empty((runs, rows - 1))
    family = np.tile(np.arange(population), (runs, 1))
    energies[:, 0] = walkers.energies.reshape(runs, population, terms).mean(axis=1)
    first = population * np.arange(runs)[:, None]
    for k in range(1, rows):
        log_w = -walkers.work(k - 1, k).reshape(runs, population)
        log_z[:, k] = log_z[:, k - 1] + log_mean_exp(log_w)
        effective[:, k - 1] = effective_sample_size(log_w) / population
        parents = np.stack([systematic(each, offset(key, r, k)) for r, each in enumerate(log_w)])
        family = np.take_along_axis(family, parents, axis=1)
        walkers.copy((first + parents).reshape(-1))
        walkers.move(k, sweeps)
        energies[:, k] = walkers.energies.reshape(runs, population, terms).mean(axis=1)
        if progress is not None:
            progress(k, rows - 1)
    return Populations(log_z, family, energies, effective, walkers.state.x)


def families(family: np.ndarray) -> Families:
    """Family statistics of origins ``[run, walker]``."""
    R = family.shape[1]
    shares = np.stack([np.bincount(each, minlength=R) for each in family]) / R
    rho_t = R * np.sum(shares**2, axis=1)
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=1)
    blocks = min(BLOCKS, R)
    edges = np.linspace(0, R, blocks + 1).astype(int)
    excess = np.add.reduceat(shares - 1.0 / R, edges[:-1], axis=1)
    stderr = np.sqrt(blocks / (blocks - 1.0) * np.sum(excess**2, axis=1))
    return Families(rho_t, R / np.exp(entropy), np.count_nonzero(shares, axis=1), stderr)


def weighted_average(values: np.ndarray, log_z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average over runs with weights Z, and its error, of ``values [run, ...]`` and ``log_z [run]``.

    ``<A> = sum_r Z_r A_r / sum_r Z_r``: the bias of a population average goes down with the number
    of runs as it would with R. Its error is ``sqrt(M/(M-1) sum_r omega_r^2 (A_r - <A>)^2)`` for M runs
    with normalised weights omega; NaN for one.
    """
    values = np.asarray(values, dtype=np.float64)
    share = np.exp(log_z - log_mean_exp(log_z)) / len(log_z)
    mean = np.tensordot(share, values, axes=1)
    runs = len(values)
    if runs < 2:
        return mean, np.full(mean.shape, np.nan)
    variance = np.tensordot(share**2, (values - mean) ** 2, axes=1) * runs / (runs - 1)
    return mean, np.sqrt(variance)


def population_annealing(
    path: Path,
    backend: Backend,
    seed: int = 0,
    name: tuple[object, ...] = (),
    *,
    population: int = 1000,
    runs: int = 8,
    sweeps: int = 1,
    progress: Progress | None = None,
) -> Estimate:
    """The log Z of the last row of a path by population annealing, with a reverse walk of its ends.

    Rows at which each step keeps the same share of the population are those of `schedule.adaptive`.
    Memory: the configurations of all walkers, and averages per row. Cost: ``rows * sweeps`` sweeps of
    all walkers, and one eighth of that for the reverse.

    Parameters
    ----------
    seed, name
        What the random words are addressed by.
    population, runs
        R, and the number of independent runs that are averaged.
    sweeps
        Heat-bath sweeps at every row.
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
    key = key_of(seed, "population", *name, "runs")
    recorded = populations(path, backend, key, runs, population, sweeps, progress)
    back = _back(path, backend, key_of(seed, "population", *name, "reverse"), recorded, sweeps)
    return from_populations(path, recorded, back, {"sweeps": sweeps})


def _back(path, backend, key, recorded: Populations, sweeps) -> np.ndarray:
    """Log-weights of a walk back from every eighth walker, at least 64, evenly spaced."""
    walkers = recorded.family.size
    rows = np.linspace(0, walkers - 1, min(walkers, max(64, walkers // 8))).astype(int)
    return reverse(path, backend, key, {g: x[rows] for g, x in recorded.ends.items()}, sweeps).log_w


def from_populations(
    path: Path,
    recorded: Populations,
    reverse_log_w: np.ndarray | None = None,
    more: Mapping[str, object] | None = None,
) -> Estimate:
    """An estimate from recorded runs, judged; with ``reverse_log_w [chain]`` from the ends of the runs.

    `low` is the mean of the runs' log Z, a bound on average, less two standard errors; `high` that of a
    reverse walk. A walk back starts where the runs ended, so it sees what they saw: it tells whether
    they kept up with the rows, not whether a phase is missing. The scatter of the runs shows that,
    unless all of them missed it; see `bounded`.
    """
    log_z = recorded.log_z[:, -1]
    runs, R = recorded.family.shape
    kin, value = families(recorded.family), float(log_mean_exp(log_z))
    share = np.exp(log_z - value) / runs
    stderr = float(np.sqrt(np.sum((share * kin.stderr) ** 2)))
    found = _family_findings(kin, R)
    scatter = float("nan")
    if runs > 1:
        scatter = log_mean(log_z).stderr
        if scatter > limit(runs) * stderr:
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
        "smallest_step_share": float(recorded.effective.min(initial=1.0)),
        **(more or {}),
    }
    high = float("nan")
    if reverse_log_w is not None:
        back = log_mean(reverse_log_w)
        high = path.base_log_z - back.mean_log
        there = value - path.base_log_z
        diagnostics |= {
            "reverse": path.base_log_z - back.value,
            "reverse_stderr": back.stderr,
            "reverse_chains": back.chains,
            "gap": -back.value - there,
        }
        found += findings(back, "reverse weights", Verdict.SUSPECT)
        found += gap_findings(there, stderr, back)
    verdict, reason = judged(found)
    low = float(log_z.mean()) - 2.0 * stderr
    return Estimate(METHOD, value, stderr, low, high, verdict, reason, diagnostics)


def _family_findings(kin: Families, R: int) -> list[Finding]:
    """By the worst run."""
    found = []
    rho_t = float(kin.rho_t.max())
    error = np.sqrt((rho_t - 1.0) / R)
    effective = R / float(kin.rho_s.max())
    if error > ERROR:
        verdict = Verdict.FAILED if error > WORST_ERROR else Verdict.SUSPECT
        reason = f"rho_t = {rho_t:.3g} is too large for a population of {R}: a larger one, or more rows"
        found.append(Finding(verdict, reason))
    if effective < FAMILIES:
        verdict = Verdict.FAILED if effective < FEWEST_FAMILIES else Verdict.SUSPECT
        reason = (
            f"{effective:.1f} effective families of {int(kin.surviving.min())} that survive: fewer "
            f"than {FAMILIES}"
        )
        found.append(Finding(verdict, reason))
    return found
