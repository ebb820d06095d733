"""Estimates of log Z held against a rigorous lower bound: what no sampled run can know by itself.

A run that never meets a phase is in equilibrium with itself: its weights are even, its chains and
populations agree, and its error is small. The Gibbs-Bogoliubov bound needs no run. Its fixed points
start from uniform states among others, so that ordered phases which no random start finds are among
them; an estimate below it has missed something, by at least so much.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from physebm.free_energy.estimate import Estimate, Finding, Verdict, judged
from physebm.free_energy.naive import estimate_mean_field
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params

# Features beyond which the bound is not sought: its matrices grow as their square.
WIDEST = 2000
NO_BOUND = f"no bound: not sought beyond {WIDEST} features, or no fixed point found"
# Random starts, and passes over all units, of the search.
STARTS, PASSES = 4, 300
# Standard errors by which an estimate may lie below, and nats that are rounding.
SIGMAS, NEGLIGIBLE = 4.0, 1e-6


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


def held_against(estimates: Iterable[Estimate], bounds: np.ndarray) -> list[Estimate]:
    """The estimates, failed where they lie below their bound by more than `SIGMAS` errors.

    The diagnostic ``held_against`` says which bound that was, or that there was none: then nothing but
    an estimate's own run speaks for it.
    """
    found = []
    for each, bound in zip(estimates, bounds, strict=True):
        note = f"mean field: log Z >= {bound:.6g}" if np.isfinite(bound) else NO_BOUND
        each = replace(each, diagnostics={**each.diagnostics, "held_against": note})
        gap = bound - each.log_z
        if not gap > max(SIGMAS * np.nan_to_num(each.stderr), NEGLIGIBLE):
            found.append(each)
            continue
        reason = f"mean field, a rigorous lower bound, lies {gap:.3g} nats higher: a phase is missing"
        held = [Finding(Verdict.FAILED, reason)]
        if each.reason:
            held.append(Finding(each.verdict, each.reason))
        verdict, text = judged(held)
        found.append(replace(each, verdict=verdict, reason=text, low=bound, high=max(bound, each.high)))
    return found
