"""What a plan's kernels read and write: the struct ``Parameters`` of the generated source.

One list, made from the plan, says the names, C types and shapes; the emitter writes it as a C struct
with a comment per field, the loader fills it with sizes and addresses. All fields are eight bytes, so
that the struct has no padding. An array that may differ from instance to instance (or from lane to
lane) is followed by its *step*: elements from one row to the next, 0 where all share one row.

Names carry the group index g, the term index t or the move index m, as operands do
(`physebm.lowering.operands`), so that models of one structure share the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from physebm.backends.cuda.device import Buffer, Device
from physebm.lowering.plan import (
    TABLED,
    BlockUpdate,
    ClusterMove,
    Constant,
    Hyper,
    Layout,
    Neighbours,
    Overlap,
    Product,
    Quadratic,
    Running,
    SweepPlan,
    UnitGroup,
    Weights,
)
from physebm.model.units import UnitKind

# numpy's name of a C type
DTYPES = {
    "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64,
    "u8": np.uint8, "u32": np.uint32, "float": np.float32, "double": np.float64,
}  # fmt: skip


class Home(Enum):
    """Where the value of a parameter comes from."""

    SIZE = "a number"
    LANE = "the lane table"
    STATE = "configurations"
    WORK = "running quantities"
    HELD = "masks of held units"
    OPERAND = "operands of the launch, one row per instance"
    TABLE = "tables of the launch, one row per rung"
    ROOM = "scratch, one row per lane"


@dataclass(frozen=True)
class Parameter:
    """A field of the struct; `type` is the C type of a number, or of the elements of an array."""

    name: str
    type: str
    shape: str
    home: Home

    @property
    def is_array(self) -> bool:
        """Whether the field is an address."""
        return self.home is not Home.SIZE

    @property
    def stepped(self) -> bool:
        """Whether rows may be shared, so that the distance of rows is a value."""
        return self.home in (Home.OPERAND, Home.HELD)

    @property
    def written(self) -> bool:
        """Whether kernels write the array."""
        return self.home in (Home.STATE, Home.WORK, Home.ROOM) or self.name == "E"


def state_type(group: UnitGroup) -> str:
    """C type of the states of a group."""
    if not group.prior.discrete:
        return "double"
    return "i16" if group.prior.q > 127 else "i8"


def is_integer_overlap(plan: SweepPlan, read: Overlap) -> bool:
    """Whether patterns and overlaps are integers."""
    return read.weights is not Weights.REAL and plan.groups[read.group].prior.discrete


def number_type(weights: Weights) -> str:
    """C type of the weights of a term that is read unit by unit."""
    return "i32" if weights in (Weights.UNIT, Weights.INTEGER) else "double"


def parameters(plan: SweepPlan) -> tuple[Parameter, ...]:
    """The fields of a plan's struct, in order."""
    found = [
        Parameter("instance", "i64", "[lane]", Home.LANE),
        Parameter("rung", "i64", "[lane]", Home.LANE),
        Parameter("walker", "u32", "[lane]", Home.LANE),
        Parameter("key", "u32", "[lane, 2]", Home.LANE),
        Parameter("coef", "double", f"[rung, {len(plan.terms)}]", Home.TABLE),
        Parameter("E", "double", f"[lane, {len(plan.terms)}], bare term energies", Home.LANE),
    ]
    for g, group in enumerate(plan.groups):
        found += [
            Parameter(f"size{g}", "i64", f"units of group {g}", Home.SIZE),
            Parameter(f"x{g}", state_type(group), f"[lane, size{g}]", Home.STATE),
        ]
        if group.prior.kind is UnitKind.TRUNCATED_GAUSSIAN:
            found.append(Parameter(f"lower{g}", "double", f"[size{g}]", Home.OPERAND))
    for t, read in enumerate(plan.terms):
        found += _of_read(plan, t, read)
    for m, move in enumerate(plan.moves):
        found += _of_cluster(plan, m, move) if isinstance(move, ClusterMove) else _of_block(m, move)
    return tuple(found)


def _of_read(plan: SweepPlan, t: int, read) -> list[Parameter]:
    weighted = getattr(read, "weights", Weights.UNIT) is not Weights.UNIT

    def size(name: str, meaning: str) -> Parameter:
        return Parameter(f"{name}{t}", "i64", meaning, Home.SIZE)

    def operand(name: str, kind: str, shape: str) -> Parameter:
        return Parameter(name, kind, shape, Home.OPERAND)

    def width(g: int) -> str:
        q = plan.groups[g].prior.q
        return f"{q} size{g}" if q else f"size{g}"

    match read:
        case Constant(group=g, weights=weights):
            return [operand(f"h{t}", number_type(weights), f"[{width(g)}]")] if weighted else []
        case Quadratic(group=g):
            return [operand(f"w{t}", "double", f"[size{g}]")] if weighted else []
        case Product(a=a, b=b):
            return [
                operand(f"J{t}_to_a", "float", f"[{width(b)}, {width(a)}]"),
                operand(f"J{t}_to_b", "float", f"[{width(a)}, {width(b)}]"),
                Parameter(f"f{t}_a", "float", f"[lane, {width(a)}], fields on a", Home.ROOM),
                Parameter(f"f{t}_b", "float", f"[lane, {width(b)}], fields on b", Home.ROOM),
            ]
        case Running(group=g) if plan.layout is Layout.GATHERS:
            q = plan.groups[g].prior.q
            rows = f"[size{g}, size{g}, {q}, padded{t}], rows [drawn, other, its state]"
            return [size("padded", "numbers of a row"), operand(f"J{t}_rows", "float", rows)]
        case Running(group=g):
            return [
                operand(f"J{t}", "float", f"[{width(g)}, {width(g)}], row = the unit that changed"),
                Parameter(f"work{t}", "float", f"[lane, {width(g)}], fields J x", Home.WORK),
            ]
        case Overlap(group=g):
            integer = is_integer_overlap(plan, read)
            xi, d, M = ("i8", "i32", "i32") if integer else ("double", "double", "double")
            return [
                size("patterns", "number of patterns"),
                operand(f"xi{t}", xi, f"[{width(g)}, patterns{t}]"),
                operand(f"d{t}", d, f"[{width(g)}], sum of xi^2 over patterns"),
                Parameter(f"work{t}", M, f"[lane, patterns{t}], overlaps xi x", Home.WORK),
            ]
        case Neighbours(group=g, weights=weights):
            q = plan.groups[g].prior.q
            states = f", {q}, {q}" if weights is Weights.STATES else ""
            found = [
                size("degree", "columns of the neighbour table"),
                operand(f"n{t}", "i32", f"[size{g}, degree{t}], padded with -1"),
            ]
            if weighted:
                shape = f"[size{g}, degree{t}{states}]"
                found.append(operand(f"w{t}", number_type(weights), shape))
            return found
        case Hyper(group=g, arity=arity, weights=weights):
            found = [
                size("degree", "columns of the table of edges"),
                operand(f"n{t}", "i32", f"[size{g}, degree{t}, {arity - 1}], padded with -1"),
            ]
            if weighted:
                found.append(operand(f"w{t}", number_type(weights), f"[size{g}, degree{t}]"))
            return found
    raise AssertionError(read)


def _of_block(m: int, move: BlockUpdate) -> list[Parameter]:
    found = [
        Parameter(f"positions{m}", "i64", "draw positions, whole chunks of 64", Home.SIZE),
        Parameter(f"classes{m}", "i64", "colour classes", Home.SIZE),
        Parameter(f"order{m}", "i32", f"[positions{m}], unit drawn there or -1", Home.OPERAND),
        Parameter(f"chunk{m}", "i32", f"[classes{m} + 1], first chunk of a class", Home.OPERAND),
        Parameter(f"held{m}", "u8", f"[size{move.group}], or no array", Home.HELD),
    ]
    if move.decision in TABLED:
        shape = f"[rung, entries{m}], up iff word < threshold"
        found += [
            Parameter(f"entries{m}", "i64", "thresholds per rung", Home.SIZE),
            Parameter(f"table{m}", "i64", shape, Home.TABLE),
            *(
                Parameter(f"range{m}_{place}", "i64", f"largest field of term {t}", Home.SIZE)
                for place, t in enumerate(move.reads)
            ),
        ]
    return found


def _of_cluster(plan: SweepPlan, m: int, move: ClusterMove) -> list[Parameter]:
    g = move.group
    found = [
        Parameter(f"bonds{m}", "i64", "number of bonds", Home.SIZE),
        Parameter(f"kinds{m}", "i64", "different weights of bonds", Home.SIZE),
        Parameter(f"edges{m}", "i32", f"[bonds{m}, 2]", Home.OPERAND),
        Parameter(f"kind{m}", "i32", f"[bonds{m}], which weight", Home.OPERAND),
        Parameter(f"bond{m}", "i64", f"[rung, kinds{m}], active iff word < threshold", Home.TABLE),
        Parameter(f"parent{m}", "i32", f"[lane, size{g}]", Home.ROOM),
    ]
    return found


def struct_type(fields: tuple[Parameter, ...]) -> np.dtype:
    """The numpy type of the struct: addresses as uint64, numbers and steps as int64."""
    members = []
    for each in fields:
        members.append((each.name, np.uint64 if each.is_array else np.int64))
        if each.stepped:
            members.append((f"{each.name}_step", np.int64))
    return np.dtype(members)


def filled(
    fields: tuple[Parameter, ...],
    device: Device,
    numbers: Mapping[str, int],
    buffers: Mapping[str, Buffer],
) -> np.ndarray:
    """The struct: numbers, addresses and steps. Arrays that a kernel does not use may be absent."""
    struct = np.zeros((), struct_type(fields))
    for each in fields:
        if not each.is_array:
            struct[each.name] = numbers[each.name]
        elif each.name in buffers:
            buffer = buffers[each.name]
            struct[each.name] = device.address(buffer)
            if each.stepped:
                struct[f"{each.name}_step"] = 0 if len(buffer) == 1 else buffer[0].size
    return struct
