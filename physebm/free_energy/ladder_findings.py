"""What speaks against estimates of log Z from a tempered run: findings of the run and of an estimator.

Findings; what a row says holds for all rows above it:

    overlap        neighbouring rows below share less than `MIN_OVERLAP` (P. V. Klimovich, M. R. Shirts,
                   D. L. Mobley, J. Comput.-Aided Mol. Des. 29, 397 (2015))
    directions     forward and backward stepping-stones differ by more than `SIGMAS` errors, or 1 nat
    memory         in a tenth of the discarded sweeps, the first quarter not counted, a chain was at
                   energies of the last row where no chain was in the second half of the run: the phase
                   that it started in has been lost, and may be rare or only slow to come back; or
                   fewer sweeps than `DISCARDED` were discarded, which cannot show it
    trips          fewer round trips than `TRIPS`, or a chain without one
    equilibrium    halves, drift, chains or starts disagree: `observables.equilibration` on the
                   estimator's influence, the series whose mean is its error; `CHAINS` are needed
    agreement      integration and mbar differ by more than `SIGMAS` errors and the discretisation
    discretisation of integration is larger than its statistical error
    from bar       stepping-stones are further from BAR than their statistical error
    weights        one weight has more than `SHARE` of a stepping-stone
    identity       the energies of a row are not the slope of log Z, by more than `IDENTITY` errors:
                   `bennett.slope_pull`
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from physebm.free_energy.estimate import Finding, Verdict
from physebm.free_energy.estimators import Rows, influence_error
from physebm.free_energy.path import Path
from physebm.free_energy.tempered_run import TemperedRun
from physebm.observables.equilibration import BLOCKS, Equilibration, verdict

MIN_OVERLAP = 0.03
SIGMAS = 4.0
TRIPS = 10
SHARE = 0.1
CHAINS = 4
FORGOTTEN = 0.1
# Discarded sweeps that show whether starts are forgotten.
DISCARDED = 4
# Probability per row and test that a stationary run is called not equilibrated; one sound run in a
# hundred has a row that is suspect.
FALSE_ALARM = 1e-4
# Differences in nats that are rounding.
NEGLIGIBLE = 1e-6
IDENTITY = 5.0


def of_gaps(overlap: np.ndarray, forward: Rows, backward: Rows, k: int) -> list[Finding]:
    """What the gaps below row k say of every estimator."""
    findings = []
    if overlap[k] < MIN_OVERLAP:
        level = Verdict.FAILED if overlap[k] < 0.1 * MIN_OVERLAP else Verdict.SUSPECT
        text = f"neighbouring rows overlap by {overlap[k]:.2g}, {MIN_OVERLAP:g} needed: more rows"
        findings.append(Finding(level, text))
    gap = backward.log_z[k] - forward.log_z[k]
    error = float(influence_error((backward.influence - forward.influence)[..., k : k + 1])[0])
    if abs(gap) > min(1.0, max(SIGMAS * error, NEGLIGIBLE)):
        text = f"forward and backward stepping-stones differ by {gap:.2g} +- {error:.1g}"
        findings.append(Finding(Verdict.SUSPECT, text))
    return findings


def of_run(path: Path, run: TemperedRun) -> list[Finding]:
    """Chains, round trips, and whether the run forgot its starts early in the discarded sweeps."""
    findings, chains = [], len(run.cold)
    if chains < CHAINS:
        text = f"{chains} chains, {CHAINS} needed for a rare phase to show"
        findings.append(Finding(Verdict.SUSPECT, text))
    if run.trips is not None and (run.trips.sum() < TRIPS or run.trips.min() < 1):
        text = f"{run.trips.sum()} round trips, {TRIPS} needed and one in each chain: more sweeps"
        findings.append(Finding(Verdict.SUSPECT, text))
    if run.early is None:
        return findings
    if run.early.shape[1] < DISCARDED:
        text = (
            f"{run.early.shape[1]} sweeps discarded, {DISCARDED} needed to tell whether the run forgot "
            "its starts: discard more"
        )
        return [*findings, Finding(Verdict.SUSPECT, text)]
    # the second half: a start that lingers into the first would vouch for itself
    u = path.potentials(run.energies[-1][:, run.energies.shape[2] // 2 :])[..., -1]
    late = run.early[:, run.early.shape[1] // 4 :]
    outside = np.mean((late < u.min() - NEGLIGIBLE) | (late > u.max() + NEGLIGIBLE), axis=1)
    if outside.max() > FORGOTTEN:
        text = f"{np.sum(outside > FORGOTTEN)} of {chains} chains left their start late: discard more"
        findings.append(Finding(Verdict.SUSPECT, text))
    return findings


def agreement(found: Mapping[str, Rows], rows: int) -> list[list[Finding]]:
    """Integration against MBAR at every row: they read the same draws in different ways."""
    findings: list[list[Finding]] = [[] for _ in range(rows)]
    if not {"integration", "mbar"} <= set(found):
        return findings
    one, other = found["integration"], found["mbar"]
    error = influence_error(one.influence - other.influence)
    gap = np.abs(one.log_z - other.log_z)
    limit = SIGMAS * error + one.per_row["discretisation"]
    for k in np.flatnonzero(gap > np.maximum(limit, NEGLIGIBLE)):
        text = f"integration and mbar differ by {gap[k]:.2g} +- {error[k]:.1g}"
        findings[k].append(Finding(Verdict.SUSPECT, text))
    return findings


def identity(pull: np.ndarray) -> list[list[Finding]]:
    """Rows above a gap where energies and the slope of log Z differ."""
    text = "energies differ from the slope of log Z by {:.1f} errors"
    return [[Finding(Verdict.SUSPECT, text.format(each))] if each > IDENTITY else [] for each in pull]


def of_estimator(each: Rows, stderr: np.ndarray) -> list[list[Finding]]:
    """What the estimator's own diagnostics say, ``[row]``."""
    rows = len(stderr)
    findings: list[list[Finding]] = [[] for _ in range(rows)]
    known = np.isfinite(stderr) & np.isfinite(each.log_z)
    for k in np.flatnonzero(~known):
        text = each.of_all.get("error", "neighbouring rows below share no states: more rows")
        findings[k].append(Finding(Verdict.FAILED, str(text)))
    wrong = each.per_row.get("discretisation", np.zeros(rows))
    for k in np.flatnonzero(wrong > np.maximum(stderr, NEGLIGIBLE)):
        text = f"discretisation error {wrong[k]:.1g} above the statistical {stderr[k]:.1g}: more rows"
        findings[k].append(Finding(Verdict.SUSPECT, text))
    apart = each.per_row.get("from_bar", np.zeros(rows))
    for k in np.flatnonzero(apart > np.maximum(stderr, NEGLIGIBLE)):
        text = f"stepping-stones lie {apart[k]:.2g} from bar, the error is {stderr[k]:.1g}: more rows"
        findings[k].append(Finding(Verdict.SUSPECT, text))
    share = each.per_row.get("largest_share", np.zeros(rows))
    for k in np.flatnonzero(share > SHARE):
        text = f"one draw has {share[k]:.0%} of the weight of a stepping-stone: more rows"
        findings[k].append(Finding(Verdict.SUSPECT, text))
    return findings


def equilibrium(found: Iterable[Rows], cold: np.ndarray) -> list[list[Finding]]:
    """The worst that any estimator's series says of the run, ``[row]``."""
    worst: dict[int, Finding] = {}
    rows = 0
    for each in found:
        series = np.moveaxis(each.influence, -1, 0)
        rows, draws = len(series), series.shape[2]
        moving = np.flatnonzero(np.ptp(series, axis=(1, 2)) > 0.0)
        if not len(moving):
            continue
        if draws < 2 * BLOCKS:
            text = f"{draws} draws in a chain, {2 * BLOCKS} needed to tell equilibrium: more sweeps"
            worst |= {int(k): Finding(Verdict.SUSPECT, text) for k in moving}
            continue
        tests = [verdict(series[moving], rate=FALSE_ALARM)]
        if cold.any() and not cold.all():
            tests.append(verdict(series[moving][:, ~cold], series[moving][:, cold], rate=FALSE_ALARM))
        for test in tests:
            for k, code, message in zip(moving.tolist(), test.code, test.message):
                failed = code == Equilibration.NOT_EQUILIBRATED
                level = Verdict.FAILED if failed else Verdict.SUSPECT
                if code and (k not in worst or level > worst[k].verdict):
                    worst[k] = Finding(level, message)
    return [[worst[k]] if k in worst else [] for k in range(rows)]
