"""log Z of every row of a path from a tempered run: estimated four ways, and judged.

Findings; what a row says holds for all rows above it:

    overlap        neighbouring rows below share less than `MIN_OVERLAP` (P. V. Klimovich, M. R. Shirts,
                   D. L. Mobley, J. Comput.-Aided Mol. Des. 29, 397 (2015))
    directions     forward and backward stepping-stones differ by more than `SIGMAS` errors, or 1 nat
    memory         in a tenth of the discarded sweeps, the first quarter not counted, a chain was at
                   energies of the last row where no chain was in the second half of the run: the phase
                   that it started in has been lost, and may be rare or only slow to come back
    trips          fewer round trips than `TRIPS`, or a chain without one
    equilibrium    halves, drift, chains or starts disagree: `observables.equilibration` on the
                   estimator's influence, the series whose mean is its error; `CHAINS` are needed
    agreement      integration and mbar differ by more than `SIGMAS` errors and the discretisation
    discretisation of integration is larger than its statistical error
    weights        one weight has more than `SHARE` of a stepping-stone
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from physebm.backends.base import Backend
from physebm.free_energy.estimate import Estimate, Finding, Verdict, judged
from physebm.free_energy.estimators import (
    Rows,
    inefficiency,
    influence_error,
    integrated_rows,
    stepping_rows,
)
from physebm.free_energy.path import Path
from physebm.free_energy.reweighting import bar_rows, mbar_rows
from physebm.free_energy.tempered_run import TemperedRun, check_finite, record
from physebm.observables.equilibration import BLOCKS, Equilibration, verdict

METHODS = ("mbar", "bar", "integration", "stepping-stone")
MIN_OVERLAP = 0.03
SIGMAS = 4.0
TRIPS = 10
SHARE = 0.1
CHAINS = 4
# Standard errors beyond its sides to which a bracket reaches.
PADDING = 2.0
FORGOTTEN = 0.1
# Probability per row and test that a stationary run is called not equilibrated; one sound run in a
# hundred has a row that is suspect.
FALSE_ALARM = 1e-4
# Differences in nats that are rounding.
NEGLIGIBLE = 1e-6
# Reduced potentials that MBAR reads at most, in draws times rows: 32 MiB, some five times that within
# pymbar, and a quarter of a minute. Longer runs are thinned, for MBAR alone.
POTENTIALS = 2**22


def tempered(
    path: Path,
    backend: Backend,
    seed: int = 0,
    name: tuple[object, ...] = (),
    *,
    chains: int = 8,
    sweeps: int = 4096,
    discard: int = 1024,
    every: int = 1,
    methods: Iterable[str] = METHODS,
    starts: Mapping[str, np.ndarray] | None = None,
) -> dict[str, list[Estimate]]:
    """Estimates of log Z ``[row]`` by method; parameters as in `record` and `from_rows`."""
    run = record(
        path,
        backend,
        seed,
        name,
        chains=chains,
        sweeps=sweeps,
        discard=discard,
        every=every,
        starts=starts,
    )
    return from_rows(path, run, methods)


def from_rows(
    path: Path, run: TemperedRun, methods: Iterable[str] = METHODS
) -> dict[str, list[Estimate]]:
    """Estimates of log Z of every row by method, from a run recorded here or elsewhere.

    log Z is absolute, row 0 being exact. The bracket of a row is spanned by both directions of the
    stepping-stones and by all estimators that were asked for, `PADDING` standard errors beyond each:
    it tells how far readings of one run differ. The error of integration contains its discretisation.

    Parameters
    ----------
    path
        Whose rows were recorded.
    run
        Its row 0 must be drawn exactly: `record` of ``path.take([0])`` gives that to runs without it.
    methods
        Some of `METHODS`.
    """
    check_finite(path, run.energies)
    w_F, w_R = works(path, run.energies)
    forward, backward, stones = stepping_rows(w_F, w_R)
    pairs = bar_rows(w_F, w_R)
    found = {}
    for method in methods:
        match method:
            case "mbar":
                found[method] = _multistate(path, run.energies, pairs)
            case "bar":
                found[method] = pairs
            case "integration":
                found[method] = integrated_rows(w_F, w_R)
            case "stepping-stone":
                found[method] = stones
            case _:
                raise ValueError(f"method {method!r}: expected some of {METHODS}")
    sides = (forward, backward, *found.values())
    errors = [PADDING * influence_error(each.influence) for each in sides]
    low = np.fmin.reduce([each.log_z - error for each, error in zip(sides, errors)])
    high = np.fmax.reduce([each.log_z + error for each, error in zip(sides, errors)])
    of_run = _of_run(path, run)
    series = {"bar": pairs, **found}.values()
    each_row = zip(_agreement(found, path.rows), _equilibrium(series, run.cold))
    shared = [
        _of_gaps(pairs.per_row["overlap"], forward, backward, k) + (of_run if k else []) + agree + equal
        for k, (agree, equal) in enumerate(each_row)
    ]
    of_all = {"round_trips": None if run.trips is None else int(run.trips.sum())}
    per_row = {
        "overlap": pairs.per_row["overlap"],
        "forward": path.base_log_z + forward.log_z,
        "backward": path.base_log_z + backward.log_z,
    }
    estimates = {}
    for method, each in found.items():
        stderr = influence_error(each.influence)
        findings = _own_findings(each, stderr)
        stderr = np.hypot(stderr, each.per_row.get("discretisation", 0.0))
        estimates[method] = [
            _estimate(
                path, method, k, each, stderr, low, high, shared[k] + findings[k], per_row, of_all
            )
            for k in range(path.rows)
        ]
    return estimates


def works(path: Path, energies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``w_F, w_R [gap, chain, draw]`` of `estimators`, from term energies of all rows."""
    step, constant = np.diff(path.coefficients.value, axis=0), np.diff(path.constants)
    w_F = np.einsum("gcdt,gt->gcd", energies[:-1], step) + constant[:, None, None]
    w_R = np.einsum("gcdt,gt->gcd", energies[1:], -step) - constant[:, None, None]
    return w_F, w_R


def _multistate(path: Path, energies: np.ndarray, pairs: Rows) -> Rows:
    """MBAR of as many draws as its memory allows, evenly taken."""
    rows, chains, draws, _ = energies.shape
    stride = -(-(rows * rows * chains * draws) // POTENTIALS)
    u = np.moveaxis(path.potentials(energies[:, :, ::stride]), -1, 0)
    g = float(np.max(inefficiency(np.moveaxis(pairs.influence[:, ::stride, 1:], -1, 0)), initial=1.0))
    found = mbar_rows(u, pairs.log_z, g)
    return replace(found, of_all={**found.of_all, "inefficiency": g, "stride": stride})


def _of_gaps(overlap: np.ndarray, forward: Rows, backward: Rows, k: int) -> list[Finding]:
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


def _of_run(path: Path, run: TemperedRun) -> list[Finding]:
    """Chains, round trips, and whether the run forgot its starts early in the discarded sweeps."""
    findings, chains = [], len(run.cold)
    if chains < CHAINS:
        text = f"{chains} chains, {CHAINS} needed for a rare phase to show"
        findings.append(Finding(Verdict.SUSPECT, text))
    if run.trips is not None and (run.trips.sum() < TRIPS or run.trips.min() < 1):
        text = f"{run.trips.sum()} round trips, {TRIPS} needed and one in each chain: more sweeps"
        findings.append(Finding(Verdict.SUSPECT, text))
    if run.early is None or run.early.shape[1] < 4:
        return findings
    # the second half: a start that lingers into the first would vouch for itself
    u = path.potentials(run.energies[-1][:, run.energies.shape[2] // 2 :])[..., -1]
    late = run.early[:, run.early.shape[1] // 4 :]
    outside = np.mean((late < u.min() - NEGLIGIBLE) | (late > u.max() + NEGLIGIBLE), axis=1)
    if outside.max() > FORGOTTEN:
        text = f"{np.sum(outside > FORGOTTEN)} of {chains} chains left their start late: discard more"
        findings.append(Finding(Verdict.SUSPECT, text))
    return findings


def _agreement(found: Mapping[str, Rows], rows: int) -> list[list[Finding]]:
    """Integration against MBAR at every row: they read the same draws in different ways."""
    findings: list[list[Finding]] = [[] for _ in range(rows)]
    if not {"integration", "mbar"} <= set(found):
        return findings
    one, other = found["integration"], found["mbar"]
    stride = other.of_all["stride"]
    coarse = other.influence.shape[1]
    # means over the draws that stand for one of the thinned run's
    edges = np.arange(0, one.influence.shape[1], stride)
    means = np.add.reduceat(one.influence, edges, axis=1)
    means /= np.diff(np.append(edges, one.influence.shape[1]))[:, None]
    error = influence_error(means[:, :coarse] - other.influence)
    gap = np.abs(one.log_z - other.log_z)
    limit = SIGMAS * error + one.per_row["discretisation"]
    for k in np.flatnonzero(gap > np.maximum(limit, NEGLIGIBLE)):
        text = f"integration and mbar differ by {gap[k]:.2g} +- {error[k]:.1g}"
        findings[k].append(Finding(Verdict.SUSPECT, text))
    return findings


def _own_findings(each: Rows, stderr: np.ndarray) -> list[list[Finding]]:
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
    share = each.per_row.get("largest_share", np.zeros(rows))
    for k in np.flatnonzero(share > SHARE):
        text = f"one draw has {share[k]:.0%} of the weight of a stepping-stone: more rows"
        findings[k].append(Finding(Verdict.SUSPECT, text))
    return findings


def _equilibrium(found: Iterable[Rows], cold: np.ndarray) -> list[list[Finding]]:
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


def _estimate(
    path: Path, method, k, each: Rows, stderr, low, high, findings, per_row, of_all
) -> Estimate:
    base = path.base_log_z
    level, reason = judged({finding.reason: finding for finding in findings}.values())
    own = {name: values[k] for name, values in (per_row | dict(each.per_row)).items()}
    return Estimate(
        method,
        base + float(each.log_z[k]),
        float(stderr[k]),
        base + float(low[k]),
        base + float(high[k]),
        level,
        reason,
        own | of_all | dict(each.of_all),
    )
