"""Products of two-state sources from tables of subset sums: definition, plans, parity, exactness."""

from dataclasses import replace

import numpy as np
import pytest
from many_lanes import assert_resumes
from parity_cases import agree
from product_models import LARGE, WITH_PRODUCTS, by_subsets
from scipy.stats import chi2
from small_models import small

from physebm.backends.base import launch
from physebm.lowering.layout import SUBSET_LANES, TWO_STATES, choose_layout
from physebm.lowering.plan import Product, read_text
from physebm.model import energy
from physebm.native import subset_sums


def defined_sum(X: np.ndarray, J: np.ndarray) -> np.ndarray:
    """The sum of the module's docstring in float32, one numpy operation per addition."""
    n = -len(J) % subset_sums.SOURCES
    X, J = np.pad(X, ((0, 0), (0, n))), np.pad(J, ((0, n), (0, 0)))
    terms = X.T[:, :, None].astype(np.float32) * J[:, None, :]
    blocks = terms.reshape(-1, subset_sums.SOURCES, *terms.shape[1:])
    total = np.zeros(terms.shape[1:], np.float32)
    for block in blocks:
        while len(block) > 1:
            block = block[::2] + block[1::2]
        total = total + block[0]
    return total


@pytest.mark.parametrize("vector", [4, 8, 16])
def test_a_product_has_the_bits_of_its_definition(vector):
    """For every width of vectors, so that all processors agree; sizes with every remainder."""
    product = subset_sums.product_by_subsets(vector)
    rng = np.random.default_rng(21)
    tables = subset_sums.table_room()
    for n, m in ((1, 1), (3, 32), (4, 31), (32, 33), (33, 64), (70, 100)):
        J = rng.normal(size=(n, m)).astype(np.float32)
        for low in (0, -1):
            x = rng.choice([low, 1], size=(40, n)).astype(np.int8)
            N, F = subset_sums.nibble_room(40, n), subset_sums.field_room(40, m)
            assert F.ctypes.data % 64 == 0 and F.shape[1] // 16 % 2 == 1
            F[:] = np.nan
            lanes = rng.permutation(40)
            for size in (1, 17, 40):
                subset_sums.source_nibbles(N, x, lanes, size)
                product(F, N, J, size, low, tables)
                assert np.array_equal(F[:size, :m], defined_sum(x[lanes[:size]], J)), (n, m, low)


def test_plans_for_many_lanes_take_subset_sums_of_two_state_sources():
    seen = set()
    for name in WITH_PRODUCTS:
        few = small(name).plan
        assert choose_layout(few, SUBSET_LANES - 1) == few
        plan = choose_layout(few, SUBSET_LANES)
        assert plan.kernel_key != few.kernel_key or plan == few
        for read in plan.terms:
            if isinstance(read, Product):
                kinds = plan.groups[read.a].prior.kind, plan.groups[read.b].prior.kind
                assert (read.subsets_to_b, read.subsets_to_a) == tuple(k in TWO_STATES for k in kinds)
                assert ("subsets to a" in read_text(read)) == read.subsets_to_a
                seen.add((read.subsets_to_a, read.subsets_to_b))
    assert seen >= {(True, True), (False, True)}


@pytest.mark.parametrize("name", WITH_PRODUCTS)
def test_subset_sums_agree_with_the_reference(name):
    """One sweep at a time, as `tests/parity`: words near a threshold are rarer than one in 1e6."""
    model = by_subsets(name, 2, (0.8, 1.5, 3.0), **LARGE.get(name, {}))
    agree(model.kernels(), model, model.lanes(30, seed=23, clamped=True), single=5, first=62)


def test_a_run_resumes_with_the_same_bits():
    model = by_subsets("rbm", **LARGE["rbm"])
    assert_resumes(model, model.lanes(70, seed=24))


def test_couplings_may_change_between_calls():
    """Tables are made anew in every call: operands that are overwritten in place are read at once."""
    model = by_subsets("rbm", **LARGE["rbm"])
    lanes, kernels = model.lanes(40, seed=25), model.kernels()
    state = model.random_state(lanes)
    before = kernels.energies(state, lanes, model.launch)
    arrays = {name: x.copy() for name, x in model.launch.operands.arrays.items()}
    for name in arrays:
        if name.startswith("J"):
            arrays[name] *= 2
    operands = replace(model.launch.operands, arrays=arrays)
    bound = launch(model.plan, operands, model.launch.coefficients)
    after = kernels.energies(state, lanes, bound)
    t = next(t for t, read in enumerate(model.plan.terms) if isinstance(read, Product))
    np.testing.assert_allclose(after[:, t], 2 * before[:, t], rtol=1e-12)


@pytest.mark.parametrize("name", ["rbm", "rbm_ising_hidden"])
def test_states_have_their_exact_probabilities(name):
    """6 x 4 units, 20000 chains, 30 sweeps: chi^2 of all states, false alarm 1e-4."""
    model, count = by_subsets(name), 20_000
    lanes = model.lanes(count, seed=26)
    state = model.random_state(lanes)
    model.kernels().sweep(state, lanes, model.launch, 0, 30)
    bits = (np.arange(1024)[:, None] >> np.arange(10)) & 1
    codes, states, first = 0, {}, 0
    for group in model.plan.groups:
        own = slice(first, first + group.size)
        states[group.name] = np.where(bits[:, own], *group.prior.states[::-1]).astype(np.int8)
        codes = codes + (state.x[group.name] > 0) @ (1 << np.arange(10)[own])
        first += group.size
    assert first == 10
    E_t = energy.term_energies(model.hamiltonian, model.params, states, np.zeros(1024, dtype=int))
    u = E_t @ model.launch.coefficients.value[0]
    expected = np.exp(u.min() - u)
    expected *= count / expected.sum()
    often = expected > 5
    seen = np.bincount(codes, minlength=1024)
    seen = np.append(seen[often], seen[~often].sum())
    expected = np.append(expected[often], expected[~often].sum())
    assert ((seen - expected) ** 2 / expected).sum() < chi2.isf(1e-4, len(expected) - 1)
