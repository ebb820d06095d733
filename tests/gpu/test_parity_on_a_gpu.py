"""On a real device: the bits of the reference, exchanges, studies, resumption across backends."""

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from parity_cases import (
    LANES,
    TEMPERATURES,
    agree,
    both_ways,
    build,
    every_case,
)
from small_models import ZOO, Small, loaded

from physebm.backends import base
from physebm.cli import main
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.model.params import stack
from physebm.study.check import check_model
from physebm.study.models import load_model


@every_case
def test_the_device_agrees_with_the_reference(name, method):
    model = build(name, method)
    for lanes in both_ways(model, LANES):
        agree(model.kernels("cuda"), model, lanes)


@pytest.mark.parametrize("name", ZOO)
def test_plans_of_many_lanes_agree(name):
    model = loaded(name)
    params = stack([model.params(0, realisation) for realisation in range(2)])
    plan = lower(model.hamiltonian, Options.of(params, "heat-bath", 4096))
    launch = base.launch(
        plan, bind(plan, model.hamiltonian, params), model.coefficients(list(TEMPERATURES))
    )
    many = Small(model, params, plan, launch)
    agree(many.kernels("cuda"), many, many.lanes(200, seed=2))


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
