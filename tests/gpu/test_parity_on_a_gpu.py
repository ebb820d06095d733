"""On a real device: the bits of the reference, exchanges, studies, resumption across backends."""

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from parity_cases import (
    LANES,
    TEMPERATURES,
    assert_defined_energies,
    assert_equal_bits,
    assert_same,
    build,
    every_case,
    is_integer,
)
from small_models import ZOO, Small, loaded

from physebm.backends import base
from physebm.backends.base import LaneState
from physebm.cli import main
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.lowering.plan import REBUILD_EVERY, ClusterMove
from physebm.model.params import stack
from physebm.study.check import check_model
from physebm.study.models import load_model


def agree(model: Small, lanes) -> None:
    device, reference = model.kernels("cuda"), model.kernels("reference")
    a = model.random_state(lanes)
    b = a.copy()
    device.prepare(a, lanes, model.launch)
    first = REBUILD_EVERY - 3
    if is_integer(model):
        E = device.sweep(a, lanes, model.launch, first, 12)
        assert np.array_equal(E, reference.sweep(b, lanes, model.launch, first, 12))
        assert_equal_bits(LaneState(a.x), LaneState(b.x))
        assert_defined_energies(E, a, lanes, model, exact=True)
        return
    for sweep in range(first, first + 6):
        a.x = {group: x.copy() for group, x in b.x.items()}
        device.prepare(a, lanes, model.launch)
        E = device.sweep(a, lanes, model.launch, sweep, 1)
        F = reference.sweep(b, lanes, model.launch, sweep, 1)
        assert_same(a, b, model)
        np.testing.assert_allclose(E, F, rtol=2e-6, atol=1e-5)


@every_case
def test_the_device_agrees_with_the_reference(name, method):
    model = build(name, method)
    clusters = any(isinstance(move, ClusterMove) for move in model.plan.moves)
    for clamped in (False,) if clusters else (False, True):
        agree(model, model.lanes(LANES, seed=3, clamped=clamped))


@pytest.mark.parametrize("name", ZOO)
def test_plans_of_many_lanes_agree(name):
    model = loaded(name)
    params = stack([model.params(0, realisation) for realisation in range(2)])
    plan = lower(model.hamiltonian, Options.of(params, "heat-bath", 4096))
    launch = base.launch(
        plan, bind(plan, model.hamiltonian, params), model.coefficients(list(TEMPERATURES))
    )
    many = Small(model, params, plan, launch)
    agree(many, many.lanes(200, seed=2))


@pytest.mark.parametrize("name", ZOO)
def test_the_check_passes(name):
    report = check_model(load_model(name), backend="cuda")
    assert report.passed, [row for row in report.rows if not row.passed]


STUDY = """
model = "edwards_anderson_3d"
seed = 5
[scan]
disorder = 3
temperature = [0.9, 1.2, 1.6, 2.2]
[set]
L = 6
[sample]
chains = 4
sweeps = 400
discard = 100
[tempering]
[observe]
record = ["energy", "replica_overlap_squared"]
"""


def test_an_integer_study_has_the_same_numbers_on_both_backends(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    results = {}
    for backend in ("cuda", "numba"):
        out = tmp_path / f"{backend}.nc"
        words = ["run", str(path), "--out", str(out), "--backend", backend, "--no-plot"]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        with xr.open_dataset(out) as result:
            results[backend] = result.load()
    for name in ("energy", "replica_overlap_squared"):
        np.testing.assert_array_equal(results["cuda"][name], results["numba"][name])
