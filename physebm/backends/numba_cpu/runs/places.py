"""Tables for colour classes in rows: runs of sixteen neighbours, copies of places, thresholds.

The units of a plan's order stand in a row, position after position. On a lattice the neighbours of
sixteen positions that follow each other mostly follow each other as well, a *run*, which is read as one
vector. Where the lattice wraps, and on random graphs, they are brought together first, behind the row
and sixteen places of zero, so that all neighbours are runs.

==================  ================================================================================
``run{t}``          ``[I, P / 16, d]``, where the run of neighbour d starts
``copied0``         ``[I, :]``, places that are brought together; the place P holds zero: neighbours
                    that are not there
``copies0``         ``[I, P / 64 + 1]``, those of chunk c are ``copied0[copies0[c] : copies0[c + 1]]``
``ends0``           ``[I, colours + 1]``, the chunks between which a colour stands
``weight{t}``       ``[I, P / 16, d, 16]``, integer weights in the same order, unless they are units
``field{t}``        ``[I, P]``, integer fields by position
``places{m}``       ``[rung, :]``, indices of the threshold table that are met and whose threshold is
                    not 0, -1 behind the last; by heat bath over two: the present state does not count
``bounds{m}``       ``[rung, :]``, their thresholds minus one, which fit 32 bits
``lookup{m}``       ``[rung, 33]``, thresholds minus one of all indices below 32, and a word whose bits
                    are set where they are not 0; ``[rung, 0]`` where that is not read
==================  ================================================================================
"""

from __future__ import annotations

import numpy as np

from physebm.backends.base import Launch
from physebm.backends.runs.graph import RUN, by_position, instances, neighbour_runs
from physebm.lowering.operands import Operands
from physebm.lowering.orders import stack_ragged
from physebm.lowering.plan import Constant, Neighbours, Rule, SweepPlan, Weights
from physebm.model.units import UnitKind

LOOKUP = 32  # thresholds in two vectors
THRESHOLDS = ("places", "bounds", "lookup")  # arrays of a word-table move, by rung


def derived_names(plan: SweepPlan) -> list[str]:
    """Arguments of the kernels that are made from operands."""
    names = ["ends0", "copied0", "copies0"]
    for t, read in enumerate(plan.terms):
        weighted = read.weights is not Weights.UNIT
        if isinstance(read, Neighbours):
            names += [f"run{t}", *([f"weight{t}"] if weighted else [])]
        elif weighted:
            names.append(f"field{t}")
    return names


def threshold_list(plan: SweepPlan, launch: Launch, looks_up: bool) -> dict[str, np.ndarray]:
    """``places0``, ``bounds0`` and ``lookup0`` of a launch."""
    table = launch.tables[0] * np.repeat(reachable(plan, launch.operands), 2)
    if plan.moves[0].rule is Rule.HEAT_BATH:
        table = table[:, ::2]
    count = max(int((table > 0).sum(axis=1).max(initial=0)), 1)
    places = np.full((len(table), count), -1, dtype=np.int32)
    bounds = np.zeros((len(table), count), dtype=np.uint32)
    for r, row in enumerate(table):
        found = np.flatnonzero(row)
        places[r, : len(found)], bounds[r, : len(found)] = found, row[found] - 1
    fits = looks_up and table.shape[1] <= LOOKUP
    lookup = np.zeros((len(table), LOOKUP + 1 if fits else 0), dtype=np.uint32)
    if fits:
        lookup[:, : table.shape[1]] = np.maximum(table, 1) - 1
        lookup[:, LOOKUP] = ((table > 0) << np.arange(table.shape[1])).sum(axis=1)
    return {"places0": places, "bounds0": bounds, "lookup0": lookup}


def reachable(plan: SweepPlan, operands: Operands) -> np.ndarray:
    """Whether a tuple of integer fields can be met at all, by its index in the threshold table.

    On a square lattice the neighbours of a unit add up to -4, -2, 0, 2 or 4; a uniform field is 1.
    """
    met = np.ones(1, dtype=bool)
    for t, limit in zip(plan.moves[0].reads, operands.ranges[0]):
        values = np.arange(-limit, limit + 1)
        found = np.isin(values, _values(plan, operands, t))
        met = (met[:, None] & found).ravel()
    return met


def _values(plan: SweepPlan, operands: Operands, t: int) -> np.ndarray:
    """Values of a term's field, or a superset of them."""
    read, arrays = plan.terms[t], operands.arrays
    unit = read.weights is Weights.UNIT
    if isinstance(read, Constant):
        return np.ones(1) if unit else np.unique(arrays[f"h{t}"])
    w = np.where(arrays[f"n{t}"] >= 0, 1 if unit else arrays[f"w{t}"], 0)
    total = np.abs(w).sum(axis=2)
    values = np.arange(-total.max(initial=0), total.max(initial=0) + 1)
    if plan.groups[0].prior.kind is UnitKind.ISING:
        values = values[np.isin(values % 2, np.unique(total % 2))]
    return values


def derived_operands(plan: SweepPlan, operands: Operands) -> dict[str, np.ndarray]:
    """The arrays of the module's table, by argument name."""
    arrays = operands.arrays
    order, graphs = arrays["order0"], {}
    made = {"ends0": _ends(arrays["class0"])}
    for t, read in enumerate(plan.terms):
        unit = read.weights is Weights.UNIT
        if isinstance(read, Neighbours):
            graphs[t] = arrays[f"n{t}"]
            if not unit:
                made[f"weight{t}"] = _weights(order, arrays[f"w{t}"])
        elif not unit:
            h = arrays[f"h{t}"]
            rows = [by_position(h[i % len(h)], order[i % len(order)]) for i in instances(h, order)]
            made[f"field{t}"] = np.stack(rows).astype(np.int32)
    return made | _runs(order, graphs)


def _ends(classes: np.ndarray) -> np.ndarray:
    """Chunks at which the colours of ``[I, chunk]`` begin, and where the last one ends."""
    colours = np.arange(classes.max(initial=0) + 2)
    return np.stack([np.searchsorted(row, colours) for row in classes])


def _weights(order: np.ndarray, w: np.ndarray) -> np.ndarray:
    rows = [by_position(w[i % len(w)], order[i % len(order)]) for i in instances(order, w)]
    by_run = np.stack(rows).reshape(len(rows), -1, RUN, w.shape[2]).transpose(0, 1, 3, 2)
    return np.ascontiguousarray(by_run, dtype=np.int32)


def _runs(order: np.ndarray, graphs: dict[int, np.ndarray]) -> dict[str, np.ndarray]:
    """``run{t}``, ``copied0`` and ``copies0`` from ``{t: neighbours [I, unit, d]}``."""
    made = {f"run{t}": [] for t in graphs}
    copied, copies = [], []
    for i in instances(order, *graphs.values()):
        row = order[i % len(order)]
        runs, gathered, chunk = {}, [np.zeros((0, RUN), np.int64)], [np.zeros(0, np.int64)]
        for t, n in graphs.items():
            runs[t], place = neighbour_runs(row, n[i % len(n)])
            gathered.append(place[:-1].reshape(-1, RUN))
            chunk.append(np.nonzero(runs[t] < 0)[0] // 4)
        chunk = np.concatenate(chunk)
        by_chunk = np.argsort(chunk, kind="stable")
        start = np.empty(len(chunk), np.int64)
        start[by_chunk] = len(row) + RUN * (1 + np.arange(len(chunk)))
        for t, run in runs.items():
            broken = run < 0
            run[broken], start = start[: broken.sum()], start[broken.sum() :]
            made[f"run{t}"].append(run.astype(np.int32))
        copied.append(np.concatenate(gathered)[by_chunk].reshape(1, -1))
        count = np.bincount(chunk, minlength=len(row) // 64)
        copies.append(RUN * np.append(0, np.cumsum(count)))
    return {
        **{name: np.stack(rows) for name, rows in made.items()},
        "copied0": stack_ragged(copied, 0)[:, 0].astype(np.int32),
        "copies0": np.stack(copies),
    }
