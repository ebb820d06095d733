"""Degrees, bond counts and boundaries of lattices; random graphs that are simple and addressed."""

from __future__ import annotations

from math import comb, prod

import numpy as np
import pytest

from physebm.errors import ModelFileError
from physebm.model.graphs import (
    all_tuples,
    bond_shape,
    erdos_renyi,
    lattice_bonds,
    lattice_dimension,
    random_regular,
)

SHAPES = [
    ("chain", (7,), 2),
    ("square", (4, 5), 4),
    ("triangular", (4, 5), 6),
    ("honeycomb", (3, 4, 2), 3),
    ("cubic", (3, 4, 5), 6),
    ("hypercubic", (3, 3, 4, 3), 8),
]


def degrees(edges, units):
    return np.bincount(np.asarray(edges).ravel(), minlength=units)


@pytest.mark.parametrize(("name", "shape", "degree"), SHAPES)
def test_every_site_of_a_periodic_lattice_has_the_degree_of_the_lattice(name, shape, degree):
    edges, place = lattice_bonds(name, shape, (True,) * len(shape))
    sites = prod(shape)
    assert np.all(degrees(edges, sites) == degree)
    assert len(edges) == sites * degree // 2
    assert len({tuple(sorted(edge)) for edge in edges.tolist()}) == len(edges)
    # Every element of a coupling array belongs to exactly one bond.
    assert sorted(place) == list(range(prod(bond_shape(name, shape))))
    assert lattice_dimension(name, shape) == len(shape)


def test_a_bond_joins_a_site_and_its_forward_neighbour_in_array_order():
    shape = (3, 4, 5)
    edges, place = lattice_bonds("cubic", shape, (True,) * 3)
    for (a, b), index in zip(edges, place):
        d, *x = np.unravel_index(index, (3, *shape))
        forward = list(x)
        forward[d] = (forward[d] + 1) % shape[d]
        assert a == np.ravel_multi_index(x, shape)
        assert b == np.ravel_multi_index(forward, shape)


def test_a_periodic_axis_of_length_two_has_two_bonds_between_its_pair():
    edges, _ = lattice_bonds("square", (2, 3), (True, True))
    keys, counts = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    double = {tuple(key) for key, count in zip(keys.tolist(), counts) if count == 2}
    assert double == {(0, 3), (1, 4), (2, 5)}
    assert np.all(degrees(edges, 6) == 4)
    assert counts.max() == 2


def test_a_periodic_axis_of_length_one_is_refused_and_an_open_one_is_not():
    with pytest.raises(ModelFileError, match="axis 1"):
        lattice_bonds("square", (4, 1), (True, True))
    edges, _ = lattice_bonds("square", (4, 1), (True, False))
    assert len(edges) == 4


@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [
        ("chain", (7,), 6),
        ("square", (4, 5), 3 * 5 + 4 * 4),
        ("triangular", (4, 5), 3 * 5 + 4 * 4 + 3 * 4),
        ("cubic", (2, 3, 4), 1 * 12 + 2 * 8 + 3 * 6),
        # Cells joined by their own bond, and by one bond to each of two neighbouring cells.
        ("honeycomb", (3, 4, 2), 12 + 2 * 4 + 3 * 3),
    ],
)
def test_open_lattices_have_no_bond_across_the_boundary(name, shape, count):
    edges, place = lattice_bonds(name, shape, (False,) * len(shape))
    assert len(edges) == count == len(set(place.tolist()))
    x = np.stack(np.unravel_index(edges, shape), axis=-1)
    assert np.abs(np.diff(x, axis=1)).max() <= 1


def test_honeycomb_bonds_join_the_two_sublattices():
    edges, _ = lattice_bonds("honeycomb", (4, 4, 2), (True, True, True))
    assert np.all(edges[:, 0] % 2 == 0) and np.all(edges[:, 1] % 2 == 1)


def test_the_triangular_lattice_is_made_of_triangles():
    sites = 30
    A = np.zeros((sites, sites), dtype=int)
    edges, _ = lattice_bonds("triangular", (5, 6), (True, True))
    A[edges[:, 0], edges[:, 1]] = A[edges[:, 1], edges[:, 0]] = 1
    # Two triangles per site, each counted six times in the trace of A^3.
    assert np.trace(A @ A @ A) == 6 * 2 * sites


def test_all_tuples_lists_every_set_once():
    for units, arity in ((6, 2), (7, 3), (5, 5)):
        tuples = all_tuples(units, arity)
        assert tuples.shape == (comb(units, arity), arity)
        assert np.all(np.diff(tuples, axis=1) > 0)
        assert len(np.unique(tuples, axis=0)) == len(tuples)


@pytest.mark.parametrize(("units", "degree"), [(10, 3), (64, 3), (50, 4), (8, 7), (6, 0)])
def test_random_regular_graphs_are_simple_and_regular(units, degree):
    edges = random_regular(units, degree, (5, 6))
    assert np.all(degrees(edges, units) == degree)
    assert np.all(edges[:, 0] < edges[:, 1])
    assert len(np.unique(edges, axis=0)) == len(edges) == units * degree // 2


def test_random_graphs_are_a_function_of_their_key():
    for draw in (lambda key: random_regular(40, 3, key), lambda key: erdos_renyi(40, 4.0, key)):
        np.testing.assert_array_equal(draw((1, 2)), draw((1, 2)))
        other = draw((1, 3))
        assert other.shape != draw((1, 2)).shape or np.any(other != draw((1, 2)))


@pytest.mark.parametrize(("units", "degree"), [(5, 3), (4, 4), (6, -1)])
def test_impossible_regular_graphs_are_refused(units, degree):
    with pytest.raises(ModelFileError, match="random-regular"):
        random_regular(units, degree, (0, 0))


def test_every_pair_is_equally_likely_in_a_random_regular_graph():
    """Pair frequencies over 3000 graphs within 5 standard errors of d / (n - 1)."""
    n, d, graphs = 8, 3, 3000
    counts = np.zeros((n, n))
    for seed in range(graphs):
        edges = random_regular(n, d, (seed, 17))
        counts[edges[:, 0], edges[:, 1]] += 1
    p = d / (n - 1)
    pulls = (counts[np.triu_indices(n, 1)] / graphs - p) / np.sqrt(p * (1 - p) / graphs)
    assert np.abs(pulls).max() < 5.0


def test_erdos_renyi_graphs_have_the_mean_degree_and_poisson_like_spread():
    n, mean_degree = 600, 4.0
    edges = erdos_renyi(n, mean_degree, (3, 4))
    assert np.all(edges[:, 0] < edges[:, 1]) and len(np.unique(edges, axis=0)) == len(edges)
    p = mean_degree / (n - 1)
    expected, error = comb(n, 2) * p, np.sqrt(comb(n, 2) * p * (1 - p))
    assert abs(len(edges) - expected) < 4.5 * error
    spread = degrees(edges, n).var()
    assert abs(spread - mean_degree) < 5 * mean_degree * np.sqrt(2.5 / n)


def test_a_pair_of_an_erdos_renyi_graph_is_decided_by_its_own_word():
    small, large = erdos_renyi(30, 2.9, (8, 8)), erdos_renyi(59, 5.8, (8, 8))
    # p = 0.1 for both: the larger graph extends the smaller.
    kept = large[np.all(large < 30, axis=1)]
    np.testing.assert_array_equal(small, kept)
