"""What bit-sliced kernels read and write: the struct ``Parameters`` of their source."""

from __future__ import annotations

from physebm.backends.cuda.parameters import Home, Parameter

# Units in the order in which they are drawn; a row more than there are units, which is zero.
FIELDS = (
    Parameter("units", "i64", "of the group", Home.SIZE),
    Parameter("words", "i64", "of 32 lanes that differ in the walker alone", Home.SIZE),
    Parameter("classes", "i64", "colour classes", Home.SIZE),
    Parameter("rows", "i64", "of thresholds: a field and a present state", Home.SIZE),
    Parameter("entries", "i64", "thresholds per rung", Home.SIZE),
    Parameter("lane_of", "i32", "[word, 32], -1 where there is none", Home.TABLE),
    Parameter("stream", "u32", "[word, 3], walker / 32 and key", Home.TABLE),
    Parameter("graph", "i32", "[word]", Home.TABLE),
    Parameter("sign_row", "i32", "[word]", Home.TABLE),
    Parameter("rung", "i64", "[lane]", Home.TABLE),
    Parameter("table", "i64", "[rung, entries], up iff word < threshold", Home.TABLE),
    Parameter("entry", "i32", "[rows], which of the entries, -1 where nobody reads", Home.TABLE),
    Parameter("unit", "i32", "[graph, units], number of a unit in x", Home.TABLE),
    Parameter("first", "i32", "[graph, classes + 1, 2], first unit and its draw position", Home.TABLE),
    Parameter("row", "u16", "[graph, units], row of the count 0; not if REGULAR", Home.TABLE),
    Parameter("near", "Index", "[graph, DEGREE, units], neighbours", Home.TABLE),
    Parameter("signs", "u32", "[sign_row, units], bit d: coupling d is -1", Home.TABLE),
    Parameter("bonds", "i64", "[graph]", Home.TABLE),
    Parameter("planes", "u32", "[word, units + 1], bit b: the unit of lane b is up", Home.ROOM),
    Parameter("x", "i8", "[lane, units]", Home.ROOM),
    Parameter("thresholds", "u32", "[word, rows, 36], digits as planes", Home.ROOM),
    Parameter("sums", "u64", "[word, 2, 32]", Home.ROOM),
    Parameter("E", "double", "[lane, TERMS], bare term energies", Home.ROOM),
)
