"""Clusters keep the Boltzmann distribution, from exact samples and from one ordered start.

Lanes are independent chains, so p-values need no autocorrelation time: lanes that start in exact
samples of the enumerated distribution must still have it after some sweeps (stationarity), and lanes
that all start in one ordered state must have reached it (ergodicity). Seeds are pinned. A test fails
if the smallest of its m p-values is below ALPHA / m: over fresh seeds each would fail once in 10^6.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from numba import njit
from scipy.stats import chi2, norm

from physebm.backends import base, reference
from physebm.backends.base import Lanes, LaneState
from physebm.backends.numba_cpu import clusters
from physebm.errors import LoweringError
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.model.graphs import random_regular
from physebm.model.hamiltonian import Group, Hamiltonian, Slot
from physebm.model.params import Coefficients, Params
from physebm.model.terms import EdgeList, Field, Lattice, Pair
from physebm.model.units import Prior
from physebm.theory.ising2d import CRITICAL_BETA, torus_energy

KINDS = ("swendsen-wang", "wolff")
FUNCTIONS = {"swendsen-wang": clusters.swendsen_wang, "wolff": clusters.wolff}
ALPHA = 1e-6
LANES = 20_000
RNG = np.random.default_rng(1987)


@dataclass(frozen=True)
class Case:
    """A small model with its values and inverse temperature."""

    hamiltonian: Hamiltonian
    params: Params
    beta: float

    @property
    def group(self):
        return self.hamiltonian.groups[0]

    def setup(self, kind):
        plan = lower(self.hamiltonian, Options(kind))
        betas = np.array([self.beta])
        coefficients = Coefficients(betas, betas[:, None], np.ones((1, 1)), np.zeros((1, 1)))
        return plan, base.launch(plan, bind(plan, self.hamiltonian, self.params), coefficients)


def lattice(shape, beta, q=0, couplings=None, name="square"):
    prior = Prior("potts", q) if q else Prior("ising")
    term = Pair("s", "s", Lattice(name, (True,) * len(shape)), None if couplings is None else "J")
    arrays = {} if couplings is None else {"J": np.asarray(couplings)}
    slots = tuple(Slot(name, values.shape[1:]) for name, values in arrays.items())
    return Case(Hamiltonian("m", (Group("s", prior, shape),), (term,), slots), Params(arrays), beta)


def regular(beta):
    edges = np.stack([random_regular(10, 3, (7, sample)) for sample in range(2)])
    J = RNG.uniform(0.0, 2.0, (2, edges.shape[1]))
    term = Pair("s", "s", EdgeList("random-regular"), "J")
    h = Hamiltonian("m", (Group("s", Prior("ising"), (10,)),), (term,), (Slot("J", J.shape[1:]),))
    return Case(h, Params({"J": J}, {0: edges}), beta)


CASES = {
    "ising 3x4": lattice((3, 4), 0.5),
    "ising 4x4": lattice((4, 4), CRITICAL_BETA),
    "ising 2x5, double bonds": lattice((2, 5), 0.3),
    "ising 3x4, random couplings": lattice(
        (3, 4), 0.45, couplings=RNG.exponential(size=(1, 2, 3, 4)) * RNG.integers(0, 2, (1, 2, 3, 4))
    ),
    "potts q = 3 3x3": lattice((3, 3), 0.9, q=3),
    "potts q = 3 3x3, random couplings": lattice(
        (3, 3), 0.8, q=3, couplings=RNG.uniform(0.0, 2.0, (1, 2, 3, 3))
    ),
    "random-regular, random couplings": regular(0.4),
}
every_case = pytest.mark.parametrize("name", CASES)
both_kinds = pytest.mark.parametrize("kind", KINDS)


class Exact:
    """All states of instance 0 with their probabilities, from the bonds alone."""

    def __init__(self, case: Case):
        _, launch = case.setup("wolff")
        edges, bond = launch.operands.arrays["edges0"][0], launch.operands.arrays["bond0"][0]
        self.q, n = case.group.prior.q, case.group.size
        base_ = self.q or 2
        digits = np.arange(base_**n)[:, None] // base_ ** np.arange(n) % base_
        self.states = (digits if self.q else 2 * digits - 1).astype(np.int8)
        a, b = self.states[:, edges[:, 0]], self.states[:, edges[:, 1]]
        self.energy = -((a == b).astype(float) if self.q else a.astype(float) * b) @ bond
        weight = np.exp(-case.beta * (self.energy - self.energy.min()))
        self.p = weight / weight.sum()
        self._place = base_ ** np.arange(n)

    def sample(self, count, seed):
        return self.states[np.random.default_rng(seed).choice(len(self.p), count, p=self.p)]

    def index(self, x):
        return (x if self.q else (x + 1) // 2).astype(np.int64) @ self._place

    def order2(self, x):
        """``m^2``, or for Potts ``(q sum_a rho_a^2 - 1) / (q - 1)``."""
        if not self.q:
            return x.mean(axis=1, dtype=float) ** 2
        rho = np.stack([(x == a).mean(axis=1) for a in range(self.q)])
        return (self.q * (rho**2).sum(axis=0) - 1) / (self.q - 1)

    def p_values(self, x):
        """Of independent samples: states by chi-square, mean energy, mean order, single states."""
        counts = np.bincount(self.index(x), minlength=len(self.p))
        # states in order of energy, pooled to cells of at least 20 expected samples
        by_energy = np.argsort(self.energy, kind="stable")
        cell = np.floor(np.cumsum(self.p[by_energy]) * len(x) / 20).astype(int)
        expected = np.bincount(cell, self.p[by_energy] * len(x))
        found = np.bincount(cell, counts[by_energy])
        kept = expected > 10
        statistic = ((found - expected)[kept] ** 2 / expected[kept]).sum()
        values = [chi2.sf(statistic, kept.sum() - (kept.all()))]
        for f in (self.energy, self.order2(self.states), *(self.states == 1).T.astype(float)):
            mean = self.p @ f
            error = np.sqrt((self.p @ f**2 - mean**2) / len(x))
            values.append(2 * norm.sf(abs(f[self.index(x)].mean() - mean) / error))
        return np.array(values)


@cache
def exact_of(name):
    return Exact(CASES[name])


def assert_same_distribution(exact, x):
    values = exact.p_values(x)
    assert values.min() > ALPHA / len(values), values


def lanes_of(count, instance=0):
    seed = np.random.default_rng(5).integers(0, 2**32, 2)
    key = np.broadcast_to(seed, (count, 2))
    return Lanes(np.full(count, instance), np.zeros(count, int), np.arange(count), key)


@njit
def advance(function, x, edges, thresholds, q, walker, key, first, count):
    """Every lane through `count` sweeps, one after the other."""
    for lane in range(x.shape[0]):
        scratch = clusters.cluster_scratch(x[lane], edges)
        for sweep in range(first, first + count):
            function(
                x[lane], edges, thresholds, scratch, q, walker[lane], sweep, 0, key[lane, 0],
                key[lane, 1],
            )  # fmt: skip


def run_numba(case, kind, x, lanes, first, count, factor=1.0):
    """In place; `factor` multiplies the coupling, to see that a wrong one is noticed."""
    _, launch = case.setup(kind)
    arrays, q, which = launch.operands.arrays, case.group.prior.q, int(lanes.instance[0])
    edges, bond = (a[which if len(a) > 1 else 0] for a in (arrays["edges0"], arrays["bond0"]))
    thresholds = clusters.bond_thresholds(bond, factor * case.beta, q)
    advance(FUNCTIONS[kind], x, edges, thresholds, q, lanes.walker, lanes.key, first, count)
    return x


def run_reference(case, kind, x, lanes, first, count):
    plan, launch = case.setup(kind)
    reference.compile(plan).sweep(LaneState({"s": x}), lanes, launch, first, count)
    return x


@both_kinds
@every_case
def test_the_boltzmann_distribution_is_stationary(name, kind):
    case, exact = CASES[name], exact_of(name)
    x = exact.sample(LANES, 1)
    before = x.copy()
    run_numba(case, kind, x, lanes_of(LANES), 0, 4)
    assert np.any(x != before)
    assert_same_distribution(exact, x)


@both_kinds
@pytest.mark.parametrize("name", ["ising 3x4, random couplings", "potts q = 3 3x3"])
def test_the_reference_keeps_the_boltzmann_distribution(name, kind):
    exact = exact_of(name)
    x = exact.sample(LANES, 2)
    assert_same_distribution(exact, run_reference(CASES[name], kind, x, lanes_of(LANES), 0, 1))


@both_kinds
@every_case
def test_chains_that_start_ordered_reach_the_boltzmann_distribution(name, kind):
    case = CASES[name]
    x = np.ones((LANES, case.group.size), np.int8)
    run_numba(case, kind, x, lanes_of(LANES), 0, 60 if kind == "swendsen-wang" else 200)
    assert_same_distribution(exact_of(name), x)


@both_kinds
@pytest.mark.parametrize("factor", [0.5, 0.95])
@pytest.mark.parametrize("name", ["ising 4x4", "potts q = 3 3x3"])
def test_a_wrong_bond_probability_would_be_noticed(name, kind, factor):
    case = CASES[name]
    x = run_numba(
        case, kind, np.ones((LANES, case.group.size), np.int8), lanes_of(LANES), 0, 40, factor
    )
    assert exact_of(name).p_values(x).min() < 1e-9


@pytest.mark.parametrize("name", ["ising 4x4", "potts q = 3 3x3", "random-regular, random couplings"])
def test_a_seeded_cluster_has_the_mean_size_of_the_squared_order_parameter(name):
    """``<|C|> = N <m^2>``: Fortuin & Kasteleyn's connectivity; Wolff changes every unit of C."""
    case = CASES[name]
    exact = exact_of(name)
    x = exact.sample(4 * LANES, 3)
    before = x.copy()
    size = (run_numba(case, "wolff", x, lanes_of(len(x)), 0, 1) != before).sum(axis=1)
    expected = case.group.size * (exact.p @ exact.order2(exact.states))
    z = (size.mean() - expected) / (size.std() / np.sqrt(len(size)))
    assert abs(z) < norm.isf(ALPHA / 2)
    assert size.min() >= 1


def test_a_wolff_sweep_moves_one_cluster_of_equal_units_to_one_other_state():
    case = CASES["potts q = 3 3x3"]
    before = exact_of("potts q = 3 3x3").sample(3000, 4)
    x = run_numba(case, "wolff", before.copy(), lanes_of(3000), 0, 1)
    shifts = []
    for old, new in zip(before, x):
        moved = old != new
        assert len(set(old[moved])) == len(set(new[moved])) == 1
        shifts.append((new[moved][0] - old[moved][0]) % 3)
    # both other states equally often
    assert abs(np.mean(np.array(shifts) == 1) - 0.5) < norm.isf(ALPHA / 2) * 0.5 / np.sqrt(3000)


@both_kinds
@every_case
def test_numba_has_the_bits_of_the_reference(name, kind):
    case = CASES[name]
    for instance in range(case.params.instances):
        lanes = lanes_of(40, instance)
        x = np.ones((40, case.group.size), np.int8)
        expected = run_reference(case, kind, x.copy(), lanes, 5, 12)
        assert len(np.unique(expected)) == (case.group.prior.q or 2)
        assert np.array_equal(run_numba(case, kind, x, lanes, 5, 12), expected)


@both_kinds
@pytest.mark.parametrize("q", [0, 5, 200])
def test_numba_has_the_bits_of_the_reference_on_many_chunks_of_words(q, kind):
    case = lattice((11, 13), 1.2 if q else 0.42, q, name="triangular")
    dtype = base.state_dtype(case.group.prior)
    x = np.ones((3, case.group.size), dtype)
    expected = run_reference(case, kind, x.copy(), lanes_of(3), 0, 25)
    assert np.array_equal(run_numba(case, kind, x, lanes_of(3), 0, 25), expected)


@both_kinds
def test_lanes_of_many_instances_and_rungs_have_the_bits_of_lanes_alone(kind):
    case = CASES["random-regular, random couplings"]
    plan, launch = case.setup(kind)
    betas = np.array([0.1, 0.4, 1.0])
    launch = base.launch(
        plan,
        launch.operands,
        Coefficients(betas, betas[:, None], np.ones((3, 1)), np.zeros((3, 1))),
    )
    kernels = reference.compile(plan)
    key = np.random.default_rng(6).integers(0, 2**32, (12, 2))
    lanes = Lanes(np.arange(12) % 2, np.arange(12) % 3, np.arange(12), key)
    together = LaneState({"s": np.ones((12, 10), np.int8)})
    kernels.sweep(together, lanes, launch, 0, 9)
    for lane in range(12):
        alone = Lanes(*(a[lane : lane + 1] for a in (lanes.instance, lanes.rung, lanes.walker, key)))
        state = LaneState({"s": np.ones((1, 10), np.int8)})
        kernels.sweep(state, alone, launch, 0, 4)
        kernels.sweep(state, alone, launch, 4, 5)
        assert np.array_equal(state.x["s"][0], together.x["s"][lane])


@both_kinds
def test_a_relabelled_bond_list_changes_no_probability_and_a_pad_changes_no_bit(kind):
    """Pads (unit 0 with itself, weight 0) are how graphs of different length are stacked."""
    case = CASES["ising 3x4"]
    _, launch = case.setup(kind)
    edges, bond = launch.operands.arrays["edges0"][0], launch.operands.arrays["bond0"][0]
    padded = np.concatenate([edges, np.zeros((70, 2), np.int32)])
    lanes = lanes_of(50)
    results = []
    for table, weights in ((edges, bond), (padded, np.pad(bond, (0, 70)))):
        x = np.ones((50, 12), np.int8)
        thresholds = clusters.bond_thresholds(weights, case.beta, 0)
        advance(FUNCTIONS[kind], x, table, thresholds, 0, lanes.walker, lanes.key, 0, 10)
        results.append(x)
    assert np.array_equal(*results)


def test_clusters_decorrelate_energy_and_order_at_the_critical_point():
    """L = 32: the exact energy of the torus, in tau of a few sweeps (local updates: hundreds)."""
    L, sweeps = 32, 6000
    case = lattice((L, L), CRITICAL_BETA)
    _, launch = case.setup("swendsen-wang")
    a, b = launch.operands.arrays["edges0"][0].T
    x = np.ones((1, L * L), np.int8)
    energy, order = np.empty(sweeps), np.empty(sweeps)
    lanes = lanes_of(1)
    edges = launch.operands.arrays["edges0"][0]
    thresholds = clusters.bond_thresholds(launch.operands.arrays["bond0"][0], CRITICAL_BETA, 0)
    for sweep in range(sweeps):
        advance(
            clusters.swendsen_wang, x, edges, thresholds, 0, lanes.walker, lanes.key, sweep, 1
        )  # fmt: skip
        energy[sweep] = -np.mean(x[0, a] * x[0, b]) * 2
        order[sweep] = abs(x.mean())
    energy, order = energy[100:], order[100:]
    blocks = energy.reshape(59, 100).mean(axis=1)
    exact = float(torus_energy(CRITICAL_BETA, L, L))
    assert abs(blocks.mean() - exact) < 5 * blocks.std(ddof=1) / np.sqrt(len(blocks))
    for series in (energy, order):
        tau = 0.5 * 100 * series.reshape(59, 100).mean(axis=1).var(ddof=1) / series.var()
        assert 1.0 < tau < 8.0


def two_terms(*terms, slots=(), prior=None):
    group = Group("s", prior or Prior("ising"), (4, 4))
    return Hamiltonian("m", (group,), terms, slots)


BONDS = Pair("s", "s", Lattice("square", (True, True)))


@both_kinds
@pytest.mark.parametrize(
    ("hamiltonian", "reason"),
    [
        (two_terms(BONDS, Field("s")), r"terms\[1\] is a field"),
        (two_terms(BONDS, replace(BONDS, graph=EdgeList("x"))), "exactly one coupling"),
        (two_terms(BONDS, prior=Prior("bernoulli")), "one group of ising or potts units"),
        (
            two_terms(
                replace(BONDS, J="J", states=True),
                slots=(Slot("J", (2, 4, 4, 3, 3)),),
                prior=Prior("potts", 3),
            ),
            "delta coupling",
        ),
    ],
)
def test_a_hamiltonian_without_the_symmetry_of_clusters_is_refused_with_the_reason(
    hamiltonian, reason, kind
):
    with pytest.raises(LoweringError, match=reason) as caught:
        lower(hamiltonian, Options(kind))
    assert kind in str(caught.value)


@both_kinds
def test_negative_couplings_are_refused_with_the_reason(kind):
    J = np.ones((1, 2, 4, 4))
    J[0, 1, 2, 3] = -0.1
    with pytest.raises(LoweringError, match="frustrated bonds"):
        lattice((4, 4), 0.4, couplings=J).setup(kind)


@both_kinds
def test_a_negative_coefficient_and_held_units_are_refused_when_swept(kind):
    x = np.ones((2, 12), np.int8)
    with pytest.raises(LoweringError, match="needs c w >= 0"):
        run_reference(replace(CASES["ising 3x4"], beta=-0.5), kind, x, lanes_of(2), 0, 1)
    held = replace(lanes_of(2), clamp={"s": np.ones((2, 12), bool)})
    with pytest.raises(LoweringError, match="held unit acts as a field"):
        run_reference(CASES["ising 3x4"], kind, x, held, 0, 1)
    assert np.all(x == 1)
