"""Stepping-stones on a thin ladder past a rare phase: one direction misses it, and the error says so.

One gap between two rows. At row 0 the energy is -a with probability p, otherwise 0; with p exp(a) = 1
both are equally likely at row 1, ``Z_1 / Z_0 = 1 - p + p exp(a)``. Draws are synthetic and independent.
"""

import numpy as np
import pytest

import physebm
from physebm.free_energy.estimate import Verdict
from physebm.free_energy.ladder import from_rows
from physebm.free_energy.path import scaled_path
from physebm.free_energy.tempered_run import TemperedRun


def two_rows(p, seed, chains=8, draws=500):
    """The path, a run of its rows, and the exact difference of log Z."""
    model = physebm.load_model("curie_weiss", N=4, h=0.0)
    row, factors = model.coefficients([1.0]), np.array([0.0, 1.0])
    path = scaled_path(model.hamiltonian, model.params(), row, factors)
    a = -np.log(p)
    random = np.random.default_rng(seed)
    rare = random.random((2, chains, draws, 1)) < np.array([p, 1.0 / (2.0 - p)])[:, None, None, None]
    scale = path.coefficients.value[1, 0]
    run = TemperedRun(np.where(rare, -a / scale, 0.0), np.arange(chains) % 2 == 1)
    return path, run, np.log(2.0 - p)


@pytest.mark.parametrize("seed", range(3))
def test_stepping_stones_that_miss_a_phase_one_way_have_the_error_of_that(seed):
    path, run, truth = two_rows(1e-6, seed)
    found = from_rows(path, run, ["stepping-stone", "bar"])
    stones, bar = (found[name][-1] for name in ("stepping-stone", "bar"))
    assert abs(bar.log_z - path.base_log_z - truth) <= 4.0 * bar.stderr
    wrong = abs(stones.log_z - path.base_log_z - truth)
    assert wrong > 0.3 and wrong <= 1.3 * stones.stderr
    assert stones.diagnostics["from_bar"] == pytest.approx(abs(stones.log_z - bar.log_z))
    assert stones.verdict == Verdict.SUSPECT and "from bar" in stones.reason
    assert "from_bar" not in bar.diagnostics and "from bar" not in bar.reason


def test_stepping_stones_of_rows_that_overlap_keep_their_error():
    path, run, truth = two_rows(0.2, 5)
    (_, stones), (_, bar) = (from_rows(path, run, [name])[name] for name in ("stepping-stone", "bar"))
    assert abs(stones.log_z - path.base_log_z - truth) <= 4.0 * stones.stderr
    assert stones.stderr < 1.3 * bar.stderr and "from bar" not in stones.reason
