"""Models and methods on which backends are compared, and what agreement means.

Every model of the zoo by heat bath; the other methods on one model of every (draw, decision, read).
Integer models are held to equal bits. Of float models a discrete unit can differ only where a 32-bit
uniform falls within rounding of its threshold: fields are float32 sums, exponentials of rows and of
Potts units have relative errors of ``(2 + gap) 2^-23``, together below 1e-6 of p here. The pinned
words do not meet that (about 5e4 decisions, a chance below 0.01). Continuous units agree to 1e-5.
"""

import numpy as np
import pytest
from small_models import ZOO, Small, small

from physebm.backends.base import Kernels, Lanes, LaneState
from physebm.lowering.plan import REBUILD_EVERY, TABLED, ClusterMove
from physebm.model import energy

OTHERS = (
    ("ising_2d", "metropolis"),
    ("random_field_ising_3d", "metropolis"),
    ("potts_2d", "metropolis"),
    ("sk", "metropolis"),
    ("hopfield", "metropolis"),
    ("rbm_potts_hidden", "metropolis"),
    ("random_regular_spin_glass", "zero-temperature"),
    ("potts_2d", "zero-temperature"),
    ("hopfield", "zero-temperature"),
    ("ising_2d", "swendsen-wang"),
    ("potts_2d", "wolff"),
)
CASES = [(name, "heat-bath") for name in ZOO] + list(OTHERS)
TEMPERATURES = (0.8, 1.5, 3.0)
LANES = 24

every_case = pytest.mark.parametrize(("name", "method"), CASES, ids=[f"{n}-{m}" for n, m in CASES])
every_model = pytest.mark.parametrize("name", ZOO)


def build(name: str, method: str, instances: int = 2) -> Small:
    overrides = {"h": 0.0} if method in ("swendsen-wang", "wolff") and name == "ising_2d" else {}
    return small(name, method, TEMPERATURES, instances, **overrides)


def is_integer(model: Small) -> bool:
    """Every decision of the plan is made by comparing integers."""
    return all(isinstance(move, ClusterMove) or move.decision in TABLED for move in model.plan.moves)


def assert_same(a: LaneState, b: LaneState, model: Small) -> None:
    for group in model.plan.groups:
        if group.prior.discrete:
            assert np.array_equal(a.x[group.name], b.x[group.name]), group.name
        else:
            np.testing.assert_allclose(a.x[group.name], b.x[group.name], rtol=1e-5, atol=1e-5)


def assert_equal_bits(a: LaneState, b: LaneState) -> None:
    for name in a.x:
        assert np.array_equal(a.x[name], b.x[name]), name
    for name in a.work:
        assert np.array_equal(a.work[name], b.work[name]), name


def assert_defined_energies(E_lt, state: LaneState, lanes: Lanes, model: Small, exact: bool) -> None:
    defined = energy.term_energies(model.hamiltonian, model.params, state.x, lanes.instance)
    if exact:
        assert np.array_equal(E_lt, defined)
    np.testing.assert_allclose(E_lt, defined, rtol=2e-6, atol=2e-6)


def both_ways(model: Small, count: int, seed: int = 3) -> list[Lanes]:
    """Lanes that are free, and lanes with a third of their units held where moves allow that."""
    clusters = any(isinstance(move, ClusterMove) for move in model.plan.moves)
    return [model.lanes(count, seed, clamped) for clamped in ((False,) if clusters else (False, True))]


def agree(
    compiled: Kernels,
    model: Small,
    lanes: Lanes,
    sweeps: int = 12,
    single: int = 6,
    first: int = REBUILD_EVERY - 3,
) -> None:
    """Kernels have the reference's states and the energies of their configurations.

    Parameters
    ----------
    sweeps
        Integer models: sweeps in one call.
    single
        Float models: sweeps, each from the state of the reference.
    first
        Number of the first sweep; running fields are rebuilt on the way from the default one.
    """
    reference, a = model.kernels("reference"), model.random_state(lanes)
    b = a.copy()
    compiled.prepare(a, lanes, model.launch)
    if is_integer(model):
        E = compiled.sweep(a, lanes, model.launch, first, sweeps)
        F = reference.sweep(b, lanes, model.launch, first, sweeps)
        assert_equal_bits(LaneState(a.x), LaneState(b.x))
        assert np.array_equal(E, F)
        assert_defined_energies(E, a, lanes, model, exact=True)
        return
    for sweep in range(first, first + single):
        a.x = {group: x.copy() for group, x in b.x.items()}
        compiled.prepare(a, lanes, model.launch)
        assert_a_sweep_agrees(compiled, reference, model, lanes, a, b, sweep)


def keeps_up(compiled: Kernels, model: Small, lanes: Lanes, sweeps: int, first: int = 0) -> LaneState:
    """As `agree` for discrete float models, but the kernels go on from their own state, returned."""
    reference, a = model.kernels("reference"), model.random_state(lanes)
    b = a.copy()
    compiled.prepare(a, lanes, model.launch)
    for sweep in range(first, first + sweeps):
        assert_a_sweep_agrees(compiled, reference, model, lanes, a, b, sweep)
    return a


def assert_a_sweep_agrees(compiled, reference, model: Small, lanes, a, b, sweep: int) -> None:
    E = compiled.sweep(a, lanes, model.launch, sweep, 1)
    F = reference.sweep(b, lanes, model.launch, sweep, 1)
    assert_same(a, b, model)
    np.testing.assert_allclose(E, F, rtol=2e-6, atol=1e-5)
    assert_defined_energies(E, a, lanes, model, exact=False)
    np.testing.assert_array_equal(E, compiled.energies(a, lanes, model.launch))
