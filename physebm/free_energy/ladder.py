"""log Z of every row of a path from a tempered run: estimated four ways, and judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from physebm.backends.base import Backend
from physebm.free_energy.bennett import bar_rows, slope_pull
from physebm.free_energy.estimate import Estimate, judged
from physebm.free_energy.estimators import (
    Rows,
    inefficiency,
    influence_error,
    integrated_rows,
    stepping_rows,
)
from physebm.free_energy.ladder_findings import (
    agreement,
    equilibrium,
    identity,
    of_estimator,
    of_gaps,
    of_run,
)
from physebm.free_energy.multistate import mbar_rows
from physebm.free_energy.path import Path
from physebm.free_energy.tempered_run import TemperedRun, check_finite, record

METHODS = ("mbar", "bar", "integration", "stepping-stone")
# Standard errors beyond its sides to which a bracket reaches.
PADDING = 2.0
# Diagnostics that are part of an error.
SYSTEMATIC = ("discretisation", "from_bar")


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
    it tells how far readings of one run differ. The error of integration contains its discretisation,
    that of stepping-stones their distance from BAR: a mean of two exponential averages whose biases are
    unlike is off by that, and BAR reads the same draws without such averages.

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
                found[method] = _beside(stones, pairs)
            case _:
                raise ValueError(f"method {method!r}: expected some of {METHODS}")
    sides = (forward, backward, *found.values())
    errors = [PADDING * influence_error(each.influence) for each in sides]
    low = np.fmin.reduce([each.log_z - error for each, error in zip(sides, errors)])
    high = np.fmax.reduce([each.log_z + error for each, error in zip(sides, errors)])
    run_findings = of_run(path, run)
    pull = slope_pull(w_F, w_R, pairs.log_z)
    series = {"bar": pairs, **found}.values()
    each_row = zip(agreement(found, path.rows), equilibrium(series, run.cold), identity(pull))
    shared = [
        of_gaps(pairs.per_row["overlap"], forward, backward, k)
        + (run_findings if k else [])
        + agree
        + equal
        + same
        for k, (agree, equal, same) in enumerate(each_row)
    ]
    of_all = {"round_trips": None if run.trips is None else int(run.trips.sum())}
    per_row = {
        "overlap": pairs.per_row["overlap"],
        "identity_pull": pull,
        "forward": path.base_log_z + forward.log_z,
        "backward": path.base_log_z + backward.log_z,
    }
    estimates = {}
    for method, each in found.items():
        stderr = influence_error(each.influence)
        findings = of_estimator(each, stderr)
        for name in SYSTEMATIC:
            stderr = np.hypot(stderr, each.per_row.get(name, 0.0))
        estimates[method] = [
            _estimate(
                path, method, k, each, stderr, low, high, shared[k] + findings[k], per_row, of_all
            )
            for k in range(path.rows)
        ]
    return estimates


def _beside(stones: Rows, pairs: Rows) -> Rows:
    """Stepping-stones with their distance from BAR; 0 where BAR has no value."""
    apart = np.nan_to_num(np.abs(stones.log_z - pairs.log_z))
    return replace(stones, per_row={**stones.per_row, "from_bar": apart})


def works(path: Path, energies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``w_F, w_R [gap, chain, draw]`` of `estimators`, from term energies of all rows."""
    step, constant = np.diff(path.coefficients.value, axis=0), np.diff(path.constants)
    w_F = np.einsum("gcdt,gt->gcd", energies[:-1], step) + constant[:, None, None]
    w_R = np.einsum("gcdt,gt->gcd", energies[1:], -step) - constant[:, None, None]
    return w_F, w_R


def _multistate(path: Path, energies: np.ndarray, pairs: Rows) -> Rows:
    """MBAR of all draws."""
    g = float(np.max(inefficiency(np.moveaxis(pairs.influence[..., 1:], -1, 0)), initial=1.0))
    value, constants = path.coefficients.value, path.constants
    found = mbar_rows(energies, value, constants, pairs.log_z, g)
    return replace(found, of_all={**found.of_all, "inefficiency": g})


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
