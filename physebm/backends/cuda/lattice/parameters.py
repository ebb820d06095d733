"""What kernels for lattices in runs read and write: the struct, and arrays that are made for them."""

from __future__ import annotations

import numpy as np

from physebm.backends.base import Launch
from physebm.backends.cuda.parameters import Home, Parameter, parameters
from physebm.backends.runs.graph import RUN, by_position, instances, neighbour_runs
from physebm.lowering.operands import Operands
from physebm.lowering.orders import stack_ragged
from physebm.lowering.plan import Constant, Neighbours, Rule, SweepPlan, Weights

MOST_NEIGHBOURS = 127  # sums of their bytes, up to 2 each, are bytes
MOST_INDICES = 256  # places in the table of thresholds, so that they are bytes
FOUR = 4  # weights of a word


def reads_a_sum(plan: SweepPlan) -> bool:
    """Whether a plain sum of neighbours is all that differs from unit to unit: bytes are indices."""
    reads = [plan.terms[t] for t in plan.moves[0].reads]
    pairs = [read for read in reads if isinstance(read, Neighbours)]
    return len(pairs) == 1 and all(read.weights is Weights.UNIT for read in reads)


def fits_runs(plan: SweepPlan, launch: Launch) -> bool:
    """Whether the operands of a plan in runs fit the bytes in which these kernels have them."""
    arrays = launch.operands.arrays
    degrees = degrees_of(plan, launch.operands)
    weighted = [t for t in degrees if plan.terms[t].weights is not Weights.UNIT]
    states = 1 if plan.moves[0].rule is Rule.HEAT_BATH else 2
    if reads_a_sum(plan):
        (degree,) = degrees.values()
        return 0 < degree <= MOST_NEIGHBOURS // states
    return (
        all(0 < degree <= MOST_NEIGHBOURS for degree in degrees.values())
        and all(np.abs(arrays[f"w{t}"]).max(initial=0) < 128 for t in weighted)
        and launch.tables[0].shape[1] <= 2 * MOST_INDICES // states
    )


def degrees_of(plan: SweepPlan, operands: Operands) -> dict[int, int]:
    """Neighbours of a unit at most, by term."""
    pairs = [t for t, read in enumerate(plan.terms) if isinstance(read, Neighbours)]
    return {t: operands.arrays[f"n{t}"].shape[2] for t in pairs}


def lattice_parameters(plan: SweepPlan) -> tuple[Parameter, ...]:
    """The fields of the struct: the plan's, with runs in the place of neighbours."""
    left_out = {"coef", "held0"}
    left_out |= {f"{stem}{t}" for stem in ("degree", "n", "w", "h") for t in range(len(plan.terms))}
    found = [each for each in parameters(plan) if each.name not in left_out]
    row = "positions0 + 16"
    found += [
        Parameter("states", "u8", f"[lane, {row}], y + NONE in visiting order", Home.STATE),
        Parameter("place0", "i32", "[:], places of broken runs", Home.OPERAND),
        Parameter("partial", "double", "[lane, share, TERMS], -2 energies of parts", Home.ROOM),
    ]
    for t, read in enumerate(plan.terms):
        weighted = read.weights is not Weights.UNIT
        if isinstance(read, Neighbours):
            shape = f"[positions0 / 16, DEGREE{t}], where runs start, or -1 - k: place0[k]"
            found.append(Parameter(f"run{t}", "i32", shape, Home.OPERAND))
            if weighted:
                shape = f"[positions0 / 16, (DEGREE{t} + 3) / 4, 16], a byte for each of four"
                found.append(Parameter(f"weight{t}", "u32", shape, Home.OPERAND))
        elif weighted:
            found.append(Parameter(f"field{t}", "i32", "[positions0]", Home.OPERAND))
    return tuple(found)


def lattice_arrays(plan: SweepPlan, operands: Operands) -> dict[str, np.ndarray]:
    """The arrays of the struct that are made of operands, the instance first."""
    arrays, order = operands.arrays, operands.arrays["order0"]
    made: dict[str, np.ndarray] = {}
    graphs: dict[int, np.ndarray] = {}
    for t, read in enumerate(plan.terms):
        weighted = read.weights is not Weights.UNIT
        if isinstance(read, Neighbours):
            graphs[t] = arrays[f"n{t}"]
        if weighted:
            constant = isinstance(read, Constant)
            values = arrays[f"{'h' if constant else 'w'}{t}"]
            rows = [
                by_position(values[i % len(values)], order[i % len(order)])
                for i in instances(values, order)
            ]
            if constant:
                made[f"field{t}"] = np.stack(rows).astype(np.int32)
            else:
                made[f"weight{t}"] = _in_fours(np.stack(rows))
    return made | _runs(order, graphs)


def _in_fours(weights: np.ndarray) -> np.ndarray:
    """``[I, P, d]`` integers as bytes, four neighbours in a word: ``[I, P / 16, d / 4, 16]``."""
    count, positions, degree = weights.shape
    groups = -(-degree // FOUR)
    padded = np.zeros((count, positions, FOUR * groups), np.int8)
    padded[:, :, :degree] = weights
    words = padded.view("<u4").reshape(count, -1, RUN, groups)
    return np.ascontiguousarray(words.transpose(0, 1, 3, 2))


def _runs(order: np.ndarray, graphs: dict[int, np.ndarray]) -> dict[str, np.ndarray]:
    """``run{t}`` and ``place0`` from ``{t: neighbours [I, unit, d]}``; lists of all terms in one."""
    runs, places = {f"run{t}": [] for t in graphs}, []
    for i in instances(order, *graphs.values()):
        lists, length = [], 0
        for t, n in graphs.items():
            run, place = neighbour_runs(order[i % len(order)], n[i % len(n)])
            runs[f"run{t}"].append(np.where(run < 0, run - length, run).astype(np.int32))
            lists.append(place[:-1])
            length += len(place) - 1
        # no array of the device is empty
        places.append(np.concatenate([*lists, np.zeros(RUN)])[None].astype(np.int32))
    made = {name: np.stack(rows) for name, rows in runs.items()}
    return made | {"place0": stack_ragged(places, 0)[:, 0]}
