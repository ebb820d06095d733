"""Operands: dense couplings are those of the definition; an update is a bind, bit by bit, in place."""

import numpy as np
import pytest
from small_models import ZOO, loaded

from physebm.errors import LoweringError
from physebm.lowering.operands import bind, update
from physebm.lowering.pipeline import Options, lower
from physebm.lowering.plan import Neighbours, Product, Running, Weights
from physebm.model.energy import dense_couplings
from physebm.model.params import stack
from physebm.model.terms import array_of
from physebm.schema.load import load
from physebm.schema.model_file import read_model

MODELS = [name for name in ZOO if loaded(name).hamiltonian.slots]


def sparse_potts():
    """Neighbours with a q x q array per bond, on a lattice and on a random graph; a three-spin term."""
    J = {"law": "normal", "std": 1.0}
    return load(
        read_model(
            "sparse",
            {
                "title": "sparse couplings with states",
                "units": {
                    "s": {"prior": "potts", "q": 3, "shape": [3, 3]},
                    "t": {"prior": "ising", "shape": 8},
                },
                "arrays": {
                    "A": {**J, "shape": [2, 3, 3, 3, 3]},
                    "B": {**J, "shape": ["edges"]},
                    "C": {**J, "shape": ["edges"]},
                },
                "terms": [
                    {
                        "couple": ["s", "s"],
                        "on": {"lattice": "square", "boundary": "periodic"},
                        "J": "A",
                    },
                    {"couple": ["t", "t"], "on": {"graph": "random-regular", "degree": 3}, "J": "B"},
                    {
                        "couple": ["t", "t", "t"],
                        "on": {"edges": {"values": [[0, 1, 2], [2, 3, 4], [5, 6, 7]]}},
                        "J": "C",
                    },
                ],
            },
            "test",
        )
    )


def potts_layers():
    """Dense couplings of Potts units, by delta and by states, within a group and between two."""
    J = {"law": "normal", "std": 1.0}
    terms = [("v", "v", "A"), ("v", "h", "B"), ("v", "h", "C"), ("v", "v", "D")]
    return load(
        read_model(
            "potts_layers",
            {
                "title": "dense couplings of potts units",
                "units": {
                    "v": {"prior": "potts", "q": 3, "shape": 4},
                    "h": {"prior": "potts", "q": 3, "shape": 2},
                },
                "arrays": {
                    "A": {**J, "shape": [4, 4]},
                    "B": {**J, "shape": [4, 2]},
                    "C": {**J, "shape": [4, 2, 3, 3]},
                    "D": {**J, "shape": [4, 4, 3, 3]},
                },
                "terms": [{"couple": [a, b], "J": name} for a, b, name in terms],
            },
            "test",
        )
    )


def two_params(model, instances=2):
    """Params that differ in every slot and share their graphs."""
    first = stack([model.params(0, r) for r in range(instances)])
    second = stack([model.params(1, r) for r in range(instances)])
    rng = np.random.default_rng(2)
    # scaled too, because constants of a law would not change: symmetry, zeros and signs stay
    arrays = {name: x * rng.uniform(1.1, 1.9) for name, x in second.arrays.items()}
    return first, first.with_arrays(**arrays)


def models():
    return [(name, loaded(name)) for name in MODELS] + [
        ("sparse", sparse_potts()),
        ("potts_layers", potts_layers()),
    ]


@pytest.mark.parametrize(("name", "model"), models(), ids=lambda v: v if isinstance(v, str) else "")
def test_an_update_is_a_bind_in_place(name, model):
    plan = lower(model.hamiltonian)
    first, second = two_params(model)
    operands = bind(plan, model.hamiltonian, first)
    held = dict(operands.arrays)
    before = {key: values.copy() for key, values in held.items()}
    expected = bind(plan, model.hamiltonian, second).arrays
    slots = {slot.name for slot in model.hamiltonian.slots}
    update(operands, plan, model.hamiltonian, second, slots)
    changed = set()
    for key, values in expected.items():
        assert operands.arrays[key] is held[key]
        assert values.dtype == held[key].dtype
        assert np.array_equal(values, held[key]), key
        if not np.array_equal(values, before[key]):
            changed.add(key)
    read = [t for t, term in enumerate(model.hamiltonian.terms) if array_of(term)]
    assert {int("".join(filter(str.isdigit, key))) for key in changed} == set(read)


def test_the_list_holds_every_read_with_an_array():
    reads = [read for _, model in models() for read in lower(model.hamiltonian).terms]
    kinds = {type(read).__name__ for read in reads}
    assert kinds == {"Constant", "Product", "Running", "Overlap", "Neighbours", "Hyper", "Quadratic"}
    assert any(isinstance(r, Neighbours) and r.weights is Weights.STATES for r in reads)


def test_only_the_named_slots_change():
    model = loaded("rbm")
    plan = lower(model.hamiltonian)
    first, second = two_params(model)
    operands = bind(plan, model.hamiltonian, first)
    update(operands, plan, model.hamiltonian, second, ["a"])
    old, new = (bind(plan, model.hamiltonian, p).arrays for p in (first, second))
    assert np.array_equal(operands.arrays["h1"], new["h1"])
    assert all(np.array_equal(operands.arrays[k], old[k]) for k in old if k != "h1")


@pytest.mark.parametrize(
    "name", ["sk", "potts_machine", "rbm", "rbm_potts_hidden", "deep_boltzmann_machine", "potts_layers"]
)
def test_dense_couplings_are_those_of_the_definition(name):
    model = potts_layers() if name == "potts_layers" else loaded(name)
    plan = lower(model.hamiltonian)
    params = stack([model.params(0, r) for r in range(2)])
    arrays = bind(plan, model.hamiltonian, params).arrays
    for t, read in enumerate(plan.terms):
        if not isinstance(read, Running | Product):
            continue
        for i in range(2):
            J = dense_couplings(model.hamiltonian, params, t, i)
            J = J.reshape(J.shape[0] * J.shape[1], -1).astype(np.float32)
            if isinstance(read, Running):
                assert np.array_equal(arrays[f"J{t}"][i % len(arrays[f"J{t}"])], J)
            else:
                assert np.array_equal(arrays[f"J{t}_to_b"][i], J)
                assert np.array_equal(arrays[f"J{t}_to_a"][i], J.T)


@pytest.mark.parametrize("name", ["edwards_anderson_3d", "hopfield"])
def test_arrays_that_were_lowered_as_integers_are_refused(name):
    """Thresholds and integer overlaps hold for the values that were bound."""
    model = loaded(name)
    plan = lower(model.hamiltonian, Options("heat-bath", model.integer_slots))
    params = model.params(0, 0)
    operands = bind(plan, model.hamiltonian, params)
    (slot,) = model.integer_slots
    with pytest.raises(LoweringError, match=rf"arrays\.{slot}[\s\S]*Options\(integers"):
        update(operands, plan, model.hamiltonian, params, [slot])
    update(operands, plan, model.hamiltonian, params, [])


def test_bonds_of_clusters_are_refused():
    declared = {
        "title": "ferromagnet with random bonds",
        "units": {"s": {"prior": "ising", "shape": [4, 4]}},
        "arrays": {"J": {"law": "uniform", "low": 0.5, "high": 1.5, "shape": [2, 4, 4]}},
        "terms": [
            {
                "couple": ["s", "s"],
                "on": {"lattice": "square", "boundary": "periodic"},
                "J": "J",
            }
        ],
    }
    model = load(read_model("ferromagnet", declared, "test"))
    plan = lower(model.hamiltonian, Options("wolff"))
    params = model.params(0, 0)
    operands = bind(plan, model.hamiltonian, params)
    with pytest.raises(LoweringError, match="clusters"):
        update(operands, plan, model.hamiltonian, params, ["J"])
