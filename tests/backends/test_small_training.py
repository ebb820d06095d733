"""Passes of the training of small machines: against plain sums, and the same bits for any sharing."""

import re

import numba
import numpy as np
import pytest
from resident_machines import ADAM, CASES, assert_near, assert_same_bits, trainer_of
from scipy.special import expit

from physebm.backends.numba_cpu.training import load
from physebm.backends.numba_cpu.training.means import padded
from physebm.backends.numba_cpu.training.sums import BLOCK, Machine, Sums, sum_blocks
from physebm.backends.select import select
from physebm.learning.device_machine import DeviceMachine
from physebm.learning.optimisers import Schedule
from physebm.learning.train import Divergence
from physebm.native.row_nibbles import column_nibbles


@pytest.mark.parametrize("low", [0, -1])
@pytest.mark.parametrize(("rows", "units"), [(1, 16), (4, 5), (63, 64), (130, 37)])
def test_nibbles_hold_four_rows_of_a_unit(rows, units, low):
    rng = np.random.default_rng(rows)
    x = rng.choice(np.array([low, 1], np.int8), size=(rows + 9, units))
    chosen = rng.permutation(len(x))[:rows]
    N, total = np.full((40, units), 7, np.uint8), np.full(units, 7, np.int16)
    column_nibbles(N, total, x, chosen)
    bits = np.zeros((160, units), np.uint8)
    bits[:rows] = x[chosen] > 0
    assert np.array_equal(N, (bits.reshape(40, 4, units) << np.arange(4)[:, None]).sum(axis=1))
    assert np.array_equal(total, x[chosen].sum(axis=0))


@pytest.mark.parametrize("ising", [False, True])
@pytest.mark.parametrize("low", [0, -1])
@pytest.mark.parametrize(("n", "m"), [(64, 32), (37, 18), (17, 70)])
def test_blocks_hold_sums_over_rows(n, m, low, ising):
    rng = np.random.default_rng(n)
    x = rng.choice(np.array([low, 1], np.int8), size=(BLOCK + 30, n))
    rows = rng.permutation(len(x))[: BLOCK + 7]
    J = (0.5 * rng.normal(size=(n, m))).astype(np.float32)
    b = np.zeros(padded(m), np.float32)
    b[:m] = rng.normal(size=m)
    machine = Machine(J, J.T.copy(), np.zeros(n), np.zeros(m), b, low, ising)
    sums = Sums.of(len(rows), n, m)
    assert np.array_equal(sums.cuts, [[0, (BLOCK + 7) // 2], [(BLOCK + 7) // 2, BLOCK + 7]])
    sum_blocks(0, 2, sums, x, rows, machine)
    theta = x[rows].astype(float) @ J.astype(float) + b[:m]
    p = np.tanh(theta) if ising else expit(theta)
    for block, (first, last) in enumerate(sums.cuts):
        of_block = x[rows[first:last]].astype(float)
        np.testing.assert_allclose(sums.D[block], of_block.T @ p[first:last], rtol=1e-5, atol=3e-4)
        assert np.array_equal(sums.v[block], of_block.sum(axis=0))
        np.testing.assert_allclose(sums.h[block, :m], p[first:last].sum(axis=0), rtol=1e-5, atol=1e-4)
    apart = Sums.of(len(rows), n, m)
    sum_blocks(1, 2, apart, x, rows, machine)
    sum_blocks(0, 1, apart, x, rows, machine)
    for name in ("D", "v"):
        assert np.array_equal(getattr(apart, name), getattr(sums, name)), name
    assert np.array_equal(apart.h[:, :m], sums.h[:, :m])


def test_means_of_large_fields_are_the_states_themselves():
    m = 5
    field = np.array([-1e4, -88.0, 0.0, 88.0, 1e4], np.float32)
    for low, ising, expected in ((0, False, [0, 0, 0.5, 1, 1]), (-1, True, [-1, -1, 0, 1, 1])):
        b = np.zeros(padded(m), np.float32)
        b[:m] = field
        machine = Machine(np.zeros((3, m), np.float32), np.zeros((m, 3), np.float32),
                          np.zeros(3), np.zeros(m), b, low, ising)  # fmt: skip
        sums = Sums.of(1, 3, m)
        sum_blocks(0, 1, sums, np.full((1, 3), low, np.int8), np.zeros(1, np.int64), machine)
        np.testing.assert_allclose(sums.h[0, :m], expected, atol=1e-37)


PERSISTENT = {name: choices for name, choices in CASES.items() if choices.get("method", "pcd") == "pcd"}
PERSISTENT = {name: choices for name, choices in PERSISTENT.items() if "penalised" not in name}
LARGE = {"units": 40, "hidden": 24, "samples": 700, "batch": 600, "chains": 530}


def on_the_host(**choices):
    return trainer_of(backend=select("numba"), **choices)


@pytest.fixture
def two_threads():
    before = numba.get_num_threads()
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    yield
    numba.set_num_threads(before)


@pytest.mark.parametrize("case", PERSISTENT)
def test_many_updates_in_one_call_are_those_of_the_general_way(case):
    together, apart, general = (on_the_host(**PERSISTENT[case]) for _ in range(3))
    general._device = None
    assert together.at_once > 20
    together.run(10)
    general.run(10)
    assert_near(together, general, 1e-5 if "adam" in case else 1e-6)
    together.run(20)
    for update in range(1, 21):
        apart.run(update)
    assert_same_bits(together, apart)
    for name, x in together.checkpoint().items():
        np.testing.assert_array_equal(apart.checkpoint()[name], x, err_msg=name)


@pytest.mark.parametrize("batch", [600, None])
def test_no_bit_depends_on_who_shares_an_update(batch, two_threads, monkeypatch):
    choices = LARGE | {"batch": batch, "centred": True, "optimiser": ADAM}
    shared, alone, single = (on_the_host(**choices) for _ in range(3))
    shared.run(7)
    monkeypatch.setattr(load, "SHARED", 10**12)
    alone.run(7)
    assert_same_bits(shared, alone)
    # updates one by one, from rows that are swept by the kernels' own calls
    monkeypatch.setattr(DeviceMachine, "_sweeps", False)
    single.run(7)
    assert_same_bits(shared, single)
    for name, x in shared.checkpoint().items():
        np.testing.assert_array_equal(single.checkpoint()[name], x, err_msg=name)


def test_a_step_that_is_refused_ends_the_call():
    trainer = on_the_host(rate=Schedule(0.05, 1e40, "exponential"))
    with pytest.raises(Divergence, match=r"training diverged at update (\d+)") as told:
        trainer.run(20)
    at = int(re.search(r"update (\d+)", str(told.value))[1])
    assert 1 < at < 20 and trainer.update == at - 1
    assert trainer.chains.state.sweep == at
    before = on_the_host(rate=Schedule(0.05, 1e40, "exponential"))
    before.run(at - 1)
    assert_same_bits(trainer, before)
