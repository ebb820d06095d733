"""Chains of models whose arrays change keep no energies: those of a sweep are wrong after an update."""

import numpy as np
import pytest

import physebm
from physebm.backends.select import select
from physebm.learning.chains import METHODS, ChainOptions, Chains


def chains_of(method, backend):
    """Chains of a small machine."""
    loaded = physebm.load_model("rbm", Nv=6, Nh=4, sigma=0.8)
    options = ChainOptions(method, steps=2, chains=5, rungs=3)
    params = loaded.params(1)
    return Chains(
        loaded.hamiltonian,
        params,
        loaded.coefficients([1.0]),
        ("W",),
        options,
        select(backend),
        3,
        ("t",),
    ), params


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("method", METHODS)
def test_no_energies_are_left_to_be_read_and_none_are_needed_to_go_on(method, backend):
    batch = {"v": np.random.default_rng(0).integers(0, 2, (5, 6)).astype(np.int8)}
    (whole, params), (cut, _) = chains_of(method, backend), chains_of(method, backend)
    changed = params.with_arrays(W=-2.0 * params.arrays["W"])
    for chains in (whole, cut):
        if method in ("pcd", "pt"):
            chains.begin()
        for number in (1, 2):
            chains.advance(number, batch)
            assert chains.state.energies is None
        chains.follow(changed)
    kept = {name: np.array(x) for name, x in cut.checkpoint().items()}
    assert "energies" not in kept
    later, _ = chains_of(method, backend)
    later.follow(changed)
    later.restore(kept)
    assert later.state.energies is None
    for number in (3, 4):
        expected = whole.advance(number, batch)
        found = later.advance(number, batch)
        for name, x in expected.items():
            assert x.tobytes() == found[name].tobytes()
