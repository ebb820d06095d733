"""Threads that share one lane: equal bits at any number of them, and they wait for each other.

More shares than this machine has cores get a pool of their own, for the shares of a call must all run.
"""

import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import njit
from small_models import small

from physebm.backends.base import LaneState
from physebm.backends.numba_cpu import load, modules
from physebm.backends.numba_cpu.meeting import meet, share_of
from physebm.backends.numba_cpu.runs import shares
from physebm.backends.numba_cpu.runs.words import chunk_words
from physebm.rng.philox import philox4x32

CASES = {
    "ising_2d": {"L": 34, "h": 0.3},
    "ising_chain": {"L": 71},
    "ising_triangular": {"L": 35},
    "edwards_anderson_3d": {"L": 7},
    "random_regular_spin_glass": {"N": 300},
}


@pytest.fixture
def shared(monkeypatch):
    """A function that sets how many threads share a lane."""
    with ThreadPoolExecutor(4) as pool:
        monkeypatch.setattr(modules, "thread_pool", lambda: pool)
        monkeypatch.setattr(load, "KEPT_POSITIONS", 0)

        def set_shares(count: int) -> None:
            monkeypatch.setattr(load, "shares_for", lambda fixed, lanes, sweeps: count)

        yield set_shares


@pytest.mark.parametrize("method", ["heat-bath", "metropolis"])
@pytest.mark.parametrize("name", CASES)
def test_no_bit_depends_on_the_number_of_threads(name, method, shared):
    """Seven sweeps at once by one thread, and in two calls by two, three and four."""
    model = small(name, method, (0.5, 2.5), 2, **CASES[name])
    lanes = model.lanes(3, seed=4)
    group = model.plan.groups[0].name
    start = model.random_state(lanes)
    expected = start.copy()
    shared(1)
    E = model.kernels().sweep(expected, lanes, model.launch, 0, 7)
    for count in (2, 3, 4):
        shared(count)
        state, kernels = start.copy(), model.kernels()
        kernels.sweep(state, lanes, model.launch, 0, 3)
        F = kernels.sweep(state, lanes, model.launch, 3, 4)
        assert np.array_equal(state.x[group], expected.x[group])
        assert np.array_equal(E, F)
        assert np.array_equal(kernels.energies(state, lanes, model.launch), E)


def test_held_units_stay_in_every_share(shared):
    model = small("ising_2d", "heat-bath", (2.0,), L=20)
    lanes = model.lanes(1, clamped=True)
    a = model.random_state(lanes)
    b = LaneState({group: x.copy() for group, x in a.x.items()})
    shared(3)
    E = model.kernels().sweep(a, lanes, model.launch, 0, 5)
    F = model.kernels("reference").sweep(b, lanes, model.launch, 0, 5)
    assert np.array_equal(a.x["s"], b.x["s"]) and np.array_equal(E, F)


@pytest.mark.parametrize("method", ["heat-bath", "metropolis", "zero-temperature"])
def test_thresholds_by_list_are_those_by_table(method, monkeypatch):
    """Every processor has the bits of the one that takes thresholds out of vectors."""
    model = small("ising_2d", method, (0.05, 2.0, 40.0), L=18, h=0.0)
    lanes = model.lanes(3)
    states, wide = [], load.looks_up()
    for takes in {wide, False}:
        monkeypatch.setattr(load, "looks_up", lambda takes=takes: takes)
        state, kernels = model.random_state(lanes), model.kernels()
        kernels.sweep(state, lanes, model.launch, 0, 4)
        assert kernels._fixed["lookup0"].shape[1] == (33 if takes else 0)
        states.append(state.x["s"])
    assert all(np.array_equal(states[0], x) for x in states)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", ["ising_2d", "edwards_anderson_3d", "random_regular_spin_glass"])
def test_states_that_are_kept_are_those_that_are_seen_and_written(name, count, shared):
    """Configurations taken, written, copied and exchanged between calls, and lanes that change."""
    shared(count)
    model = small(name, "heat-bath", (0.7, 2.0), 2, **CASES[name])
    lanes, group = model.lanes(4, seed=2), model.plan.groups[0].name
    a = model.random_state(lanes)
    b = a.copy()
    kernels, definition = model.kernels(), model.kernels("reference")
    assert np.array_equal(
        kernels.energies(a, lanes, model.launch), definition.energies(b, lanes, model.launch)
    )
    for first in range(9):
        E = kernels.sweep(a, lanes, model.launch, first, 1)
        assert np.array_equal(E, definition.sweep(b, lanes, model.launch, first, 1))
        if first in (1, 2):
            assert a.packed_is_current
            assert np.array_equal(a.seen[group], b.x[group])
        if first == 3:
            a.x[group][:, 4] *= -1
            b.x[group][:, 4] *= -1
            F = kernels.energies(a, lanes, model.launch)
            assert np.array_equal(F, definition.energies(b, lanes, model.launch))
        if first == 4:
            a = a.copy()
        if first == 5:
            lanes.instance[:] = lanes.instance[::-1].copy()
            lanes.rung[:] = lanes.rung[::-1].copy()
        if first == 6:
            a.x = {group: b.x[group].copy()}
    assert np.array_equal(a.x[group], b.x[group])


def test_large_lattices_are_kept_and_small_ones_are_not():
    for L, keeps in ((64, False), (256, True)):
        model = small("ising_2d", L=L)
        lanes = model.lanes(1)
        state = model.random_state(lanes)
        model.kernels().sweep(state, lanes, model.launch, 0, 1)
        assert state.packed_is_current is keeps


def test_calls_from_several_threads_do_not_block_each_other(monkeypatch):
    """Two threads of the pool, four callers at once that want both."""
    with ThreadPoolExecutor(2) as pool, ThreadPoolExecutor(4) as callers:
        monkeypatch.setattr(modules, "thread_pool", lambda: pool)
        monkeypatch.setattr(load, "KEPT_POSITIONS", 0)
        monkeypatch.setattr(load, "shares_for", lambda fixed, lanes, sweeps: 2)
        model = small("ising_2d", "heat-bath", (2.0,), L=20)
        lanes = model.lanes(1)

        def energy(_) -> float:
            state, kernels = model.random_state(lanes), model.kernels()
            return [kernels.sweep(state, lanes, model.launch, s, 1)[0, 0] for s in range(20)]

        energies = list(callers.map(energy, range(4)))
    assert all(each == energies[0] for each in energies)


def test_large_lattices_are_shared_and_small_ones_are_not():
    threads = numba.get_num_threads()

    def fixed(units: int, colours: int = 2):
        return {"ends0": np.zeros((1, colours + 1)), "order0": np.zeros((1, units))}

    assert shares.shares_for(fixed(1 << 20), 1, 5) == threads
    assert shares.shares_for(fixed(1 << 20), threads, 5) == 1
    assert shares.shares_for(fixed(64), 1, 10_000_000) == 1
    assert shares.shares_for(fixed(1 << 14), 1, 1) == 1


@njit(nogil=True)
def _rounds(share, end, shares_, counter, written, read):
    for n in range(read.shape[1]):
        written[share] = n
        meet(counter, shares_)
        read[share, n] = written.min()
        meet(counter, shares_)


def test_nobody_goes_on_before_all_have_met(monkeypatch):
    with ThreadPoolExecutor(3) as pool:
        monkeypatch.setattr(modules, "thread_pool", lambda: pool)
        read = np.full((3, 300), -1)
        modules.together(_rounds, 3, 3, np.zeros(1, np.int64), np.full(3, -1), read)
    assert np.array_equal(read, np.tile(np.arange(300), (3, 1)))


def test_shares_cover_everything_once():
    for first, last, count in ((0, 0, 3), (5, 6, 4), (2, 33, 3)):
        parts = [share_of(first, last, share, count) for share in range(count)]
        assert [n for a, b in parts for n in range(a, b)] == list(range(first, last))


def test_words_of_a_chunk():
    @njit
    def write(words, chunk, walker, sweep, last, k0, k1):
        chunk_words(words.ctypes.data, chunk, walker, sweep, last, k0, k1)

    top = 2**32 - 1
    for chunk, *others in [(0, 0, 0, 0, 0, 0), (3, 1, 2, 9, 4, 5), (2**28 - 1, *[top] * 5)]:
        words = np.zeros(64, np.uint32)
        write(words, *(np.uint32(n) for n in (chunk, *others)))
        four = philox4x32(16 * chunk + np.arange(16), *others)
        assert np.array_equal(words, np.concatenate(four))


CODE = """
import numpy as np
from small_models import small
from physebm.backends.base import LaneState
from physebm.backends.numba_cpu import load

for takes in (False, True):
    load.looks_up = lambda: takes
    for name, parameters in {cases}.items():
        model = small(name, "metropolis", (0.8, 2.0), 2, **parameters)
        lanes = model.lanes(4)
        a = model.random_state(lanes)
        b = LaneState({{group: x.copy() for group, x in a.x.items()}})
        E = model.kernels().sweep(a, lanes, model.launch, 0, 3)
        F = model.kernels("reference").sweep(b, lanes, model.launch, 0, 3)
        print(all(np.array_equal(a.x[g], b.x[g]) for g in a.x) and np.array_equal(E, F))
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names an x86-64 processor")
def test_without_wide_vectors(tmp_path):
    """Compiled for a plain processor, with thresholds by list and one by one out of the table."""
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "x86-64",
        "NUMBA_CPU_FEATURES": "+sse2",
        "PHYSEBM_CACHE": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    cases = {"ising_2d": {"L": 34}, "edwards_anderson_2d": {"L": 9}}
    command = [sys.executable, "-c", CODE.format(cases=repr(cases))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"] * 4
