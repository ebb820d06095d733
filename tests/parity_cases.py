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

from physebm.backends.base import Lanes, LaneState
from physebm.lowering.plan import TABLED, ClusterMove
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
