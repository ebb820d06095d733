"""Pools of threads outlive no fork."""

import os
import subprocess
import sys

import pytest

from physebm.native.threads import pool, starting

FORKED = """
import os
import numpy as np
import physebm

model = physebm.load_model("sk", N=256)


def energy():
    return physebm.sample(model, [1.0], record=["energy"], chains=64, sweeps=64, seed=1).energy.values


whole = energy()
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(energy(), whole) else 1)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_pool_is_made_once():
    assert pool("a test", 2) is pool("a test", 2)
    assert pool("a test", 2) is not pool("another", 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_has_pools_and_locks_of_its_own():
    assert pool("a test", 1).submit(lambda: 3).result() == 3
    held = starting()
    with held:
        child = os.fork()
        if child == 0:
            found = pool("a test", 1).submit(lambda: 4).result(timeout=5)
            fresh = starting() is not held and starting().acquire(timeout=1)
            os._exit(0 if found == 4 and fresh else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_samples():
    environment = os.environ | {"NUMBA_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    subprocess.run(command, env=environment, timeout=120, check=True)
