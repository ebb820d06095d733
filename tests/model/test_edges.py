"""Sums over edges: equal to dense sums to the last digits, and no matrix of a lattice in memory."""

import tracemalloc

import numpy as np
import pytest

import physebm
from physebm.free_energy.limits import _largest_of_pairs
from physebm.model import edges as edges_module
from physebm.model.edges import sparse_couplings
from physebm.model.energy import dense_couplings, features, local_field, term_energies
from physebm.model.hamiltonian import Group, Hamiltonian, Slot
from physebm.model.params import Params
from physebm.model.terms import EdgeList, Lattice, Pair
from physebm.model.units import Prior

LANES, Q = 5, 3
SHAPE = (4, 5)
PRIORS = (Prior("ising"), Prior("bernoulli"), Prior("gaussian"), Prior("potts", Q))
CASES = [*((prior, False) for prior in PRIORS), (PRIORS[-1], True)]
RANDOM = np.array([[0, 3], [7, 2], [0, 3], [5, 19], [-1, -1]])


def model_of(prior, graph, states):
    """A model of one pair term with couplings of two instances, and states of its units."""
    rng = np.random.default_rng(3)
    tail = (Q, Q) if states else ()
    shape = ((2, *SHAPE) if isinstance(graph, Lattice) else (len(RANDOM),)) + tail
    H = Hamiltonian(
        "one", (Group("s", prior, SHAPE),), (Pair("s", "s", graph, "J", states),), (Slot("J", shape),)
    )
    edges = {} if isinstance(graph, Lattice) else {0: np.stack([RANDOM, RANDOM[::-1]])}
    params = Params({"J": rng.normal(size=(2, *shape))}, edges)
    x = {
        "ising": rng.choice(np.array([-1, 1], np.int8), (LANES, 20)),
        "bernoulli": rng.integers(0, 2, (LANES, 20), dtype=np.int8),
        "potts": rng.integers(0, Q, (LANES, 20), dtype=np.int8),
        "gaussian": rng.normal(size=(LANES, 20)),
    }[str(prior.kind.value)]
    return H, params, {"s": x}


@pytest.mark.parametrize("step", [1, 7, 1 << 18])
@pytest.mark.parametrize(
    "graph", [Lattice("square", (True, False)), EdgeList("inline")], ids=["lattice", "edges"]
)
@pytest.mark.parametrize(("prior", "states"), CASES)
def test_energies_and_fields_are_those_of_dense_couplings(monkeypatch, prior, states, graph, step):
    monkeypatch.setattr(edges_module, "LEAST", 1)
    monkeypatch.setattr(edges_module, "BLOCK", step * LANES)
    H, params, state = model_of(prior, graph, states)
    f = features(H, "s", state["s"])
    for instance in (0, 1):
        J = dense_couplings(H, params, 0, instance)
        field = np.einsum("ifjg,ljg->lif", J, f)
        E = term_energies(H, params, state, np.full(LANES, instance))
        np.testing.assert_allclose(E[:, 0], -0.5 * (f * field).sum(axis=(1, 2)), rtol=1e-13, atol=1e-13)
        c = np.linspace(-1.0, 2.0, LANES)
        theta, _ = local_field(H, params, c[:, None], "s", state, instance)
        np.testing.assert_allclose(theta, c[:, None, None] * field, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    "graph", [Lattice("square", (True, False)), EdgeList("inline")], ids=["lattice", "edges"]
)
@pytest.mark.parametrize(("prior", "states"), CASES)
def test_sparse_couplings_are_the_dense_ones(prior, states, graph):
    H, params, _ = model_of(prior, graph, states)
    J = dense_couplings(H, params, 0, 0)
    size = J.shape[0] * J.shape[1]
    found = sparse_couplings(H, params, 0, -2.0)
    np.testing.assert_allclose(found.toarray(), -2.0 * J.reshape(size, size), rtol=1e-15)
    largest = np.abs(J).max(axis=(1, 3)).sum()
    assert _largest_of_pairs(abs(found), J.shape[1], J.shape[1]) == pytest.approx(2.0 * largest)
    assert _largest_of_pairs(np.abs(J).reshape(size, size), J.shape[1], J.shape[1]) == pytest.approx(
        largest
    )


def test_energies_of_integer_couplings_are_exact():
    model = physebm.load_model("edwards_anderson_3d", L=6)
    params = model.params(1, 0)
    x = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (3, 216))
    J = dense_couplings(model.hamiltonian, params, 0, 0)[:, 0, :, 0]
    exact = -0.5 * np.einsum("li,ij,lj->l", x, J, x)
    assert (term_energies(model.hamiltonian, params, {"s": x})[:, 0] == exact).all()


def test_a_large_lattice_takes_bytes_per_bond_and_no_matrix():
    """Of 128 x 128 units couplings between all pairs would be 2 GiB; edges and weights are 1 MiB."""
    model = physebm.load_model("ising_2d", L=128)
    params, units = model.params(), 128 * 128
    x = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (4, units))
    s = x.reshape(4, 128, 128).astype(int)
    expected = -(s * np.roll(s, -1, 1) + s * np.roll(s, -1, 2)).sum(axis=(1, 2))
    tracemalloc.start()
    E = term_energies(model.hamiltonian, params, {"s": x})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (E[:, 0] == expected).all()
    assert peak < 8 * 2**20
