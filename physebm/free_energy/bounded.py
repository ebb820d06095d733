"""Estimates of log Z held against a rigorous lower bound: what no sampled run can know by itself.

A run that never meets a phase is in equilibrium with itself: its weights are even, its chains and
populations agree, and its error is small. The Gibbs-Bogoliubov bound needs no run. Its fixed points
start from uniform states among others, so that ordered phases which no random start finds are among
them; an estimate below it has missed something, by at least so much. Data give another one, where there
are any: `data_bound`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from physebm.free_energy.estimate import Estimate, Finding, Verdict, judged
from physebm.free_energy.naive import estimate_mean_field
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params

# Features beyond which the bound is not sought: its matrices grow as their square.
WIDEST = 2000
NO_BOUND = f"no bound: mean field is not sought beyond {WIDEST} features, or no fixed point found"
# Random starts, and passes over all units, of the search.
STARTS, PASSES = 4, 300
# Standard errors by which an estimate may lie below, and nats that are rounding: in all, and of each.
SIGMAS, NEGLIGIBLE, ROUNDING = 4.0, 1e-6, 1e-9


def lower_bounds(
    hamiltonian: Hamiltonian, params: Params, rows: Coefficients, key: tuple[int, int]
) -> np.ndarray:
    """The best mean-field bound on log Z found at every row, ``[row]``; NaN for models too wide."""
    width = sum(group.size * group.prior.features for group in hamiltonian.groups)
    if width > WIDEST:
        return np.full(rows.rungs, np.nan)
    return np.array(
        [
            estimate_mean_field(
                hamiltonian, params, rows.take([k]), key, random=STARTS, iterations=PASSES
            ).low
            for k in range(rows.rungs)
        ]
    )


def held_against(estimates: Iterable[Estimate], bounds: Mapping[str, np.ndarray]) -> list[Estimate]:
    """The estimates, failed where they lie below a bound by more than `SIGMAS` errors.

    Their bracket then begins at the bound and has no upper end: what a run has missed it cannot limit.
    The diagnostic ``held_against`` says which bound was the highest, or that there was none: then
    nothing but an estimate's own run speaks for it.

    Parameters
    ----------
    bounds
        Lower bounds on log Z by name, ``[row]``; NaN where there is none.
    """
    found = []
    for k, each in enumerate(estimates):
        known = {name: float(b[k]) for name, b in bounds.items() if np.isfinite(b[k])}
        name = max(known, key=known.__getitem__, default="")
        note = f"{name}: log Z >= {known[name]:.6g}" if known else NO_BOUND
        each = replace(each, diagnostics={**each.diagnostics, "held_against": note})
        gap = known[name] - each.log_z if known else 0.0
        rounding = NEGLIGIBLE + ROUNDING * abs(known.get(name, 0.0))
        if gap > max(SIGMAS * np.nan_to_num(each.stderr), rounding):
            reason = f"{name}, a rigorous lower bound, lies {gap:.3g} nats higher: a phase is missing"
            each = with_finding(each, Finding(Verdict.FAILED, reason))
            each = replace(each, low=known[name], high=float("nan"))
        found.append(each)
    return found


def with_finding(each: Estimate, finding: Finding) -> Estimate:
    """An estimate with one finding more."""
    held = [finding, Finding(each.verdict, each.reason)] if each.reason else [finding]
    verdict, reason = judged(held)
    return replace(each, verdict=verdict, reason=reason)
