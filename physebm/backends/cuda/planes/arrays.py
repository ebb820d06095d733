"""Graphs and words as bit-sliced kernels on a device read them, as numpy arrays by parameter."""

from __future__ import annotations

import numpy as np

from physebm.backends.planes.graph import Graph
from physebm.backends.planes.words import Words
from physebm.errors import LoweringError
from physebm.lowering.plan import CHUNK


def graph_arrays(graph: Graph, class_of_chunk: np.ndarray, whole: bool) -> dict[str, np.ndarray]:
    """What depends on the operands alone; units are numbered in the order in which they are drawn."""
    graphs, n = graph.units.shape
    drawn = np.full((graphs, n + 1), n, dtype=np.int32)
    np.put_along_axis(drawn, graph.units, np.arange(n, dtype=np.int32)[None], axis=1)
    near = np.stack([each[table.T] for each, table in zip(drawn, graph.neighbours)])
    found = {
        "unit": graph.units.astype(np.int32),
        "first": class_bounds(graph.positions, class_of_chunk),
        "near": near.astype(np.uint16 if whole else np.int32),
        "bonds": graph.bonds.astype(np.int64),
    }
    if graph.rows.any():
        found["row"] = graph.rows.astype(np.uint16)
    if graph.negative is not None:
        place = np.arange(graph.negative.shape[2], dtype=np.uint32)
        bits = graph.negative.astype(np.uint32) << place
        found["signs"] = np.bitwise_or.reduce(bits, axis=2)
    return found


def class_bounds(positions: np.ndarray, class_of_chunk: np.ndarray) -> np.ndarray:
    """First unit and its draw position of every colour class, ``[graph, class + 1, 2]``.

    The last row is the end; a graph of fewer classes than another ends in empty ones.
    """
    graphs, n = positions.shape
    classes = np.take_along_axis(class_of_chunk, positions.astype(np.int64) // CHUNK, axis=1)
    count = int(classes.max()) + 1
    bounds = np.zeros((graphs, count + 1, 2), dtype=np.int32)
    for out, of_unit, position in zip(bounds, classes, positions):
        out[:, 0] = np.searchsorted(of_unit, np.arange(count + 1))
        out[:, 1] = np.append(position, 0)[out[:, 0]]
        inside = position - np.arange(n) == (out[:, 1] - out[:, 0])[of_unit]
        if not inside.all():
            raise LoweringError("bit planes", got="a colour class with a gap", hint="a bug")
    return bounds


def word_arrays(words: Words, graph: Graph) -> dict[str, np.ndarray]:
    """Places of lanes; every word is a tile of its own."""
    of = words.instance[:, 0].astype(np.int32)
    shared, alike = len(graph.units) == 1, graph.negative is None or len(graph.negative) == 1
    return {
        "lane_of": words.lane_of[:, 0].astype(np.int32),
        "stream": words.stream[:, :, 0],
        "graph": 0 * of if shared else of,
        "sign_row": 0 * of if alike else of,
    }
