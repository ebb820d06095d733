"""Colours of graphs: proper, two where possible, and the same from plain and from compiled loops."""

import numpy as np
import pytest

from physebm.lowering import colour
from physebm.native import graph_colours


def random_edges(units: int, count: int, arity: int, seed: int) -> np.ndarray:
    edges = np.random.default_rng(seed).integers(0, units, (count, arity))
    distinct = [len(set(edge)) == arity for edge in edges.tolist()]
    return edges[distinct]


@pytest.mark.parametrize("units", [1, 40, graph_colours.SMALL + 500])
@pytest.mark.parametrize("arity", [2, 3])
@pytest.mark.parametrize("degree", [0.5, 4])
def test_no_edge_within_a_colour(units, arity, degree, monkeypatch):
    edges = random_edges(units, int(degree * units), arity, seed=1)
    colours = colour.colour_units(units, edges)
    for a in range(arity):
        for b in range(a):
            assert np.all(colours[edges[:, a]] != colours[edges[:, b]])
    assert colours.min() == 0 and len(np.unique(colours)) == colours.max() + 1
    monkeypatch.setattr(graph_colours, "SMALL", 10**9 if units > graph_colours.SMALL else 0)
    assert np.array_equal(colour.colour_units(units, edges), colours)


@pytest.mark.parametrize("units", [40, 3000])
def test_even_cycles_take_two_colours_and_odd_ones_three(units):
    ring = np.stack([np.arange(units), (np.arange(units) + 1) % units], axis=1)
    assert np.array_equal(colour.colour_units(units, ring), np.arange(units) % 2)
    odd = np.concatenate([ring, [[0, 2]]])
    assert colour.colour_units(units, odd).max() == 2


def test_neighbours_in_order():
    start, neighbours = colour.adjacency(4, np.array([[2, 0], [0, 1], [2, 0]]))
    assert start.tolist() == [0, 3, 4, 6, 6]
    assert neighbours.tolist() == [1, 2, 2, 0, 0, 0]
