"""Transfer matrices against enumeration, Kaufman's torus, chains in closed form, reference values."""

import json

import numpy as np
import pytest
from enumeration_models import FOLDER, group, model, plain, reference

from physebm.errors import LoweringError
from physebm.model.graphs import bond_shape
from physebm.model.terms import AllPairs, EdgeList, Field, Lattice, LowRank, Pair
from physebm.theory import transfer_matrix
from physebm.theory.enumeration import enumerate_states
from physebm.theory.ising2d import torus_log_z
from physebm.theory.transfer_matrix import on_lattice, orders, transfer, transfer_log_z

CASES = [
    ("ising", 0, "chain", (9,), (True,)),
    ("ising", 0, "chain", (9,), (False,)),
    ("ising", 0, "square", (3, 4), (True, True)),
    ("ising", 0, "square", (2, 5), (True, True)),
    ("ising", 0, "square", (2, 5), (False, True)),
    ("bernoulli", 0, "square", (4, 3), (True, False)),
    ("bernoulli", 0, "square", (3, 4), (False, False)),
    ("potts", 3, "square", (3, 3), (True, True)),
    ("potts", 4, "chain", (2,), (True,)),
    ("ising", 0, "triangular", (3, 4), (True, True)),
    ("ising", 0, "honeycomb", (3, 2, 2), (True, True, False)),
    ("ising", 0, "cubic", (2, 3, 2), (True, True, True)),
]


def disordered(kind, q, name, shape, periodic, betas, seed=1):
    rng = np.random.Generator(np.random.PCG64(seed))
    tail = (q, q) if q else ()
    arrays = {
        "J": rng.normal(size=bond_shape(name, shape) + tail),
        "h": rng.normal(size=shape + tail[:1]),
    }
    lattice = Lattice(name, periodic)
    terms = [(Pair("s", "s", lattice, "J", bool(q)), plain(0.8)), (Field("s", "h"), plain(-1.2))]
    terms += [(Pair("s", "s", lattice), plain(0.3)), (Field("s"), plain(0.2))]
    return model([group("s", kind, shape, q=q)], terms, betas, arrays)


def clean(shape, betas, boundary=True, kind="ising", q=0, field=None):
    name = "chain" if len(shape) == 1 else "square"
    terms = [(Pair("s", "s", Lattice(name, (boundary,) * len(shape))), plain())]
    if field is not None:
        terms.append((Field("s"), plain(field)))
    return model([group("s", kind, shape, q=q)], terms, betas)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[2]} {case[3]} {case[4]}")
def test_disordered_lattices_are_enumerated(case):
    """The last temperature is so low that weights leave the range of doubles."""
    built = disordered(*case, betas=[0.0, 0.3, 1.0, 2.0, 400.0])
    expected = enumerate_states(*built).log_z
    np.testing.assert_allclose(transfer_log_z(*built), expected, rtol=1e-13)


@pytest.mark.parametrize("case", CASES[:8], ids=lambda case: f"{case[0]} {case[2]} {case[3]} {case[4]}")
def test_every_order_gives_the_same(case, monkeypatch):
    """Each axis, with and without a held slab; batches of one held state."""
    built = disordered(*case, betas=[0.7])
    found, planned_all = [], orders(built[0])
    monkeypatch.setattr(transfer_matrix, "BATCH", 1)
    assert len(planned_all) == 2 * len(case[3])
    for planned in planned_all:
        monkeypatch.setattr(transfer_matrix, "transfer", lambda _, each=planned: each)
        found.append(transfer_log_z(*built)[0])
    np.testing.assert_allclose(found, enumerate_states(*built).log_z[0], rtol=1e-13)


@pytest.mark.parametrize("L", [4, 5, 6, 7, 8, 9])
def test_the_torus_of_kaufman(L):
    betas = np.array([0.1, 0.3, 0.4406867935097715, 0.6, 1.5])
    expected = torus_log_z(betas, L)
    np.testing.assert_allclose(transfer_log_z(*clean((L, L), betas)), expected, rtol=1e-13)


@pytest.mark.slow
def test_the_torus_of_kaufman_at_ten():
    expected = torus_log_z(0.4406867935097715, 10)
    found = transfer_log_z(*clean((10, 10), [0.4406867935097715]))[0]
    assert found == pytest.approx(expected, rel=1e-13)


def test_long_torus_of_kaufman():
    """The slab that is held is the short one, whichever axis it is."""
    expected = torus_log_z(0.44, 200, 5)
    for shape in ((200, 5), (5, 200)):
        built = clean(shape, [0.44])
        assert transfer_log_z(*built)[0] == pytest.approx(expected, rel=1e-13)
        assert transfer(built[0]).width <= 11


def test_reference_values_of_the_ising_torus():
    rows = [row for row in reference("ising2d")["finite_L"] if row["L"] == 8]
    found = transfer_log_z(*clean((8, 8), [row["beta"] for row in rows]))
    np.testing.assert_allclose(found, [row["lnZ"] for row in rows], rtol=1e-13)
    assert len(rows) >= 4


def test_reference_values_of_the_potts_torus():
    rows = json.loads((FOLDER / "potts2d_transfer.json").read_text())["data"]
    found = transfer_log_z(*clean((4, 4), [row["beta"] for row in rows], kind="potts", q=3))
    np.testing.assert_allclose(found, [row["lnZ"] for row in rows], rtol=1e-12)


def test_reference_values_of_spin_glasses():
    for case in reference("spinglass")["ea"]:
        J, betas = np.array(case["J"]), [row["beta"] for row in case["thermo"]]
        shape = (case["L"],) * case["d"]
        lattice = Lattice("hypercubic", (True,) * case["d"])
        built = model(
            [group("s", "ising", shape)], [(Pair("s", "s", lattice, "J"), plain())], betas, {"J": J}
        )
        expected = [row["lnZ"] for row in case["thermo"]]
        np.testing.assert_allclose(transfer_log_z(*built), expected, rtol=1e-12)


def test_chains_in_closed_form():
    rng = np.random.Generator(np.random.PCG64(5))
    J, beta, n = rng.normal(size=(1, 50)), 0.9, 50
    for periodic in (False, True):
        term = Pair("s", "s", Lattice("chain", (periodic,)), "J")
        built = model([group("s", "ising", n)], [(term, plain())], [beta], {"J": J})
        bonds = beta * (J[0] if periodic else J[0, :-1])
        expected = n * np.log(2.0) + np.log(np.cosh(bonds)).sum()
        expected += np.log1p(np.prod(np.tanh(bonds))) if periodic else 0.0
        assert transfer_log_z(*built)[0] == pytest.approx(expected, rel=1e-13)
    q, n = 5, 40
    found = transfer_log_z(*clean((n,), [beta], kind="potts", q=q))[0]
    expected = np.log((np.exp(beta) + q - 1) ** n + (q - 1) * np.expm1(beta) ** n)
    assert found == pytest.approx(expected, rel=1e-13)


def test_a_long_chain_in_a_field():
    beta, h, n = 0.6, 0.3, 3000
    root = np.sqrt(np.exp(2 * beta) * np.sinh(beta * h) ** 2 + np.exp(-2 * beta))
    both = np.exp(beta) * np.cosh(beta * h) + np.array([root, -root])
    expected = n * np.log(both[0]) + np.log1p((both[1] / both[0]) ** n)
    found = transfer_log_z(*clean((n,), [beta], field=h))[0]
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_field_at_the_far_end_that_beats_all_before_it():
    """Passed weights differ by more than doubles hold, and the smaller ones are what matters."""
    n = 6
    h = np.full(n, 300.0)
    h[-1] = -4000.0
    term = Pair("s", "s", Lattice("chain", (False,)))
    built = model(
        [group("s", "ising", n)], [(term, plain(3000.0)), (Field("s", "h"), plain())], [1.0], {"h": h}
    )
    best = 5 * 3000.0 + 4000.0 - 5 * 300.0
    assert transfer_log_z(*built)[0] == pytest.approx(best, rel=1e-15)


def test_what_is_no_narrow_lattice_is_refused():
    spins = group("s", "ising", (20, 20))
    square = (Pair("s", "s", Lattice("square", (True, True))), plain())
    wide = model([spins], [square], [1.0])
    assert on_lattice(wide[0]) and transfer(wide[0]) is None
    with pytest.raises(LoweringError, match="20 x 20") as raised:
        transfer_log_z(*wide, where="study.toml: free_energy.method")
    assert "study.toml: free_energy.method" in str(raised.value) and "12 Ising units" in str(
        raised.value
    )
    dense = Pair("s", "s", AllPairs()), plain()
    sparse = Pair("s", "s", EdgeList("erdos-renyi")), plain()
    ranked = LowRank("s"), plain()
    small = group("s", "ising", (3, 3))
    for terms in ([dense], [square, dense], [sparse], [square, ranked], [(Field("s"), plain())]):
        edges = {t: np.array([[0, 1]]) for t, (term, _) in enumerate(terms) if term == sparse[0]}
        assert not on_lattice(model([small], terms, [1.0], edges=edges)[0])
    other = group("t", "ising", 2)
    assert not on_lattice(model([small, other], [square], [1.0])[0])


def test_what_is_narrow_enough():
    assert transfer(clean((12, 12), [1.0])[0]) is not None
    assert transfer(clean((13, 13), [1.0])[0]) is None
    assert transfer(clean((20, 50), [1.0], boundary=False)[0]) is not None
    assert transfer(clean((100, 100), [1.0], boundary=False)[0]) is None
    assert transfer(clean((4000, 4000), [1.0])[0]) is None
    assert transfer(clean((4, 50), [1.0], kind="potts", q=3)[0]) is not None
