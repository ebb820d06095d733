"""Initial configurations, addressed by (key, walker, unit) like every other random number.

``random`` draws every unit from its prior's states (continuous units from the prior), ``all-up`` sets
Ising and Bernoulli units to 1, Potts units to state 0, continuous units to 0 (or their lower edge);
``pattern`` copies a pattern with an exact number of units flipped, so that the overlap is the wanted
one to 1/N; given configurations are taken as they are.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from physebm.backends.base import Lanes, LaneState, state_dtype
from physebm.errors import StudyFileError
from physebm.lowering.plan import SweepPlan, UnitGroup
from physebm.model.units import UnitKind
from physebm.rng.philox import philox4x32, uniform, uniform53
from physebm.rng.streams import Purpose, last_word

# Words drawn together: bounds the memory of large models.
_TOGETHER = 1 << 18


def empty(plan: SweepPlan, lanes: int) -> LaneState:
    """Uninitialised (zero) configurations of all groups."""
    return LaneState(
        {
            group.name: np.zeros((lanes, group.size), dtype=state_dtype(group.prior))
            for group in plan.groups
        }
    )


def random(plan: SweepPlan, lanes: Lanes, g: int, rows, scale=1.0, lower=0.0) -> np.ndarray:
    """Random states ``[row, unit]`` of group g for some lanes.

    `scale` is the prior's standard deviation and `lower` its edge, for continuous groups.
    """
    group = plan.groups[g]
    rows = np.arange(len(lanes))[rows]
    drawn = np.empty((len(rows), group.size), dtype=state_dtype(group.prior))
    step = max(1, _TOGETHER // max(1, group.size))
    for at in range(0, len(rows), step):
        high, low = _words(lanes, g, rows[at : at + step], group.size)
        drawn[at : at + step] = _from_words(group, high, low)
    if group.prior.discrete:
        return drawn
    drawn *= scale
    if group.prior.kind is UnitKind.GAUSSIAN:
        return drawn
    return lower + np.abs(drawn)


def _from_words(group: UnitGroup, high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """States of a discrete prior, each as likely; standard normal numbers otherwise."""
    if not group.prior.discrete:
        return ndtri(uniform53(high, low))
    states = np.array(group.prior.states)
    return states[np.minimum((uniform(high) * len(states)).astype(int), len(states) - 1)]


def all_up(group: UnitGroup, rows: int, lower=0.0) -> np.ndarray:
    """The ordered state ``[row, unit]``."""
    value = {UnitKind.ISING: 1, UnitKind.BERNOULLI: 1}.get(group.prior.kind, 0)
    if group.prior.kind is UnitKind.TRUNCATED_GAUSSIAN:
        value = lower
    return np.broadcast_to(np.asarray(value), (rows, group.size)).copy()


def pattern(
    plan: SweepPlan, lanes: Lanes, g: int, rows, xi_n: np.ndarray, overlap: float
) -> np.ndarray:
    """Copies of a +-1 pattern with ``round(N (1 - overlap) / 2)`` units flipped, at random per lane.

    Bernoulli units take (1 + xi) / 2.
    """
    group = plan.groups[g]
    flips = round(group.size * (1.0 - overlap) / 2.0)
    high, low = _words(lanes, g, rows, group.size)
    order = np.argsort(uniform53(high, low), axis=1, kind="stable")
    s = np.broadcast_to(np.where(xi_n > 0, 1, -1), (len(order), group.size)).copy()
    np.put_along_axis(s, order[:, :flips], -np.take_along_axis(s, order[:, :flips], axis=1), axis=1)
    return (1 + s) // 2 if group.prior.kind is UnitKind.BERNOULLI else s


def given(group: UnitGroup, values: np.ndarray, chains: int, where: str) -> np.ndarray:
    """Configurations ``[chain, unit]`` from a file: one for all chains, or one row per chain.

    Raises
    ------
    StudyFileError
        for a shape or a value that the group cannot take.
    """
    values = np.asarray(values)
    rows = values.reshape(1, -1) if values.size == group.size else values.reshape(len(values), -1)
    if rows.shape[1] != group.size or len(rows) not in (1, chains):
        raise StudyFileError(
            where,
            got=f"shape {list(values.shape)}",
            expected=f"{group.size} units of '{group.name}', or {chains} rows of them",
        )
    if group.prior.discrete and not np.isin(rows, group.prior.states).all():
        bad = rows[~np.isin(rows, group.prior.states)][0]
        raise StudyFileError(
            where,
            got=bad.item(),
            expected=f"states {group.prior.states[0]} to {group.prior.states[-1]}",
        )
    return np.broadcast_to(rows, (chains, group.size))


def _words(lanes: Lanes, g: int, rows, units: int):
    return philox4x32(
        np.arange(units)[None, :],
        lanes.walker[rows][:, None],
        0,
        last_word(Purpose.INITIAL_STATE, g),
        lanes.key[rows, :1],
        lanes.key[rows, 1:],
    )[:2]
