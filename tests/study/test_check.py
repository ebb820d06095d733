"""`check`: correct models pass, wrong kernels fail with the right row, bad input is refused."""

from dataclasses import replace

import numpy as np
import pytest
from small_models import loaded

from physebm.backends.cuda.host_device import compiler
from physebm.backends.numba_cpu import load as numba_backend
from physebm.backends.select import BACKENDS
from physebm.errors import InputError
from physebm.model.params import Coefficients
from physebm.schema.load import load
from physebm.schema.model_file import read_models
from physebm.study import check, check_kernels
from physebm.study.check import check_model
from physebm.study.check_report import format_report
from physebm.study.models import models_of


@pytest.fixture
def few_lanes(monkeypatch):
    monkeypatch.setattr(check_kernels, "LANES", {"numba": 6000, "reference": 1500})


@pytest.mark.parametrize(
    ("name", "methods"),
    [
        ("ising_2d", ("heat-bath", "metropolis", "tempering", "wolff")),
        ("potts_2d", ("metropolis", "wolff")),
        ("hopfield", ("metropolis",)),
        ("rbm_truncated_gaussian_hidden", ("heat-bath", "tempering")),
        ("hopfield_gaussian", ("heat-bath",)),
    ],
)
def test_correct_kernels_pass(name, methods, few_lanes):
    report = check_model(loaded(name), methods=methods)
    assert report.passed, format_report(report)
    titles = {row.what.split(",")[0] for row in report.rows}
    assert {"energies", "reference", "stationary", "ergodic"} <= titles
    assert {row.method for row in report.rows} | {name for name, _ in report.refused} == set(methods)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("edwards_anderson_2d", "planes"),
        ("sk", "vectors"),
        ("potts_machine", "gathers"),
        ("rbm", "tiles"),
    ],
)
def test_plans_for_few_and_for_many_chains_are_checked(name, layout, few_lanes):
    """Potts machines gather from five states on; three of the small instance do as those of studies."""
    model = load(models_of()[name])
    assert load(models_of()["potts_machine"], models_of()["potts_machine"].small).env["q"] == 3
    report = check_model(model, methods=("heat-bath", "tempering"), temperatures=(2.0,))
    assert report.passed, format_report(report)
    rows = [row for row in report.rows if row.method == "heat-bath" and "gradient" not in row.what]
    fast = [row for row in rows if row.what.endswith(f", {layout}")]
    assert 2 * len(fast) == len(rows) and len(fast) >= 5
    # the row of tempering is that of many chains alone, which its title need not say
    assert any(row.method == "tempering" for row in report.rows)


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler on this machine")
def test_kernels_for_gpus_can_be_checked_on_the_host_with_few_chains(monkeypatch):
    monkeypatch.setattr(check_kernels, "LANES", {"cuda-host": 240})
    report = check_model(loaded("ising_2d"), backend="cuda-host", methods=("heat-bath",))
    assert report.passed and {"reference", "stationary", "ergodic"} <= {
        row.what.split(",")[0] for row in report.rows
    }
    text = format_report(report)
    assert "240 chains, where --backend numba has 24000" in text
    assert "from 10 times that size on" in text


def test_every_backend_has_its_number_of_chains():
    assert set(check_kernels.LANES) == set(check_kernels.BURN_IN) == set(BACKENDS)


def test_the_reference_backend_can_be_checked_too(few_lanes):
    report = check_model(loaded("sk"), backend="reference", methods=("heat-bath",))
    assert report.passed, format_report(report)
    assert not any(row.what.startswith("reference") for row in report.rows)


def test_a_method_that_cannot_sample_the_model_is_named_with_its_reason(few_lanes):
    report = check_model(loaded("ising_2d"), methods=("heat-bath", "wolff"))
    assert [method for method, _ in report.refused] == ["wolff"]
    assert "is a field" in format_report(report)
    with pytest.raises(InputError, match="no method can sample this model"):
        check_model(loaded("ising_2d"), methods=("wolff",))


def failed(report) -> set[str]:
    assert not report.passed
    assert "FAILED" in format_report(report).splitlines()[0]
    return {row.what.split(",")[0] for row in report.rows if not row.passed}


@pytest.mark.parametrize("factor", [-1.0, 0.9])
def test_a_wrong_temperature_is_seen(monkeypatch, few_lanes, factor):
    right = check.launch

    def wrong(plan, operands, c):
        return right(plan, operands, Coefficients(c.beta, factor * c.value, c.first, c.second))

    monkeypatch.setattr(check, "launch", wrong)
    assert "stationary" in failed(check_model(loaded("edwards_anderson_2d"), methods=("heat-bath",)))


def test_kernels_that_never_move_are_seen_although_exact_samples_stay_exact(monkeypatch, few_lanes):
    def frozen(self, state, lanes, launch, first, count):
        return self.energies(state, lanes, launch)

    monkeypatch.setattr(numba_backend.NumbaKernels, "sweep", frozen)
    found = failed(check_model(loaded("edwards_anderson_2d"), methods=("heat-bath",)))
    assert found == {"reference", "ergodic"}


def test_kernels_of_another_energy_are_seen(monkeypatch, few_lanes):
    right = numba_backend.NumbaKernels.energies
    monkeypatch.setattr(
        numba_backend.NumbaKernels, "energies", lambda *arguments: 1.001 * right(*arguments)
    )
    found = failed(check_model(loaded("edwards_anderson_2d"), methods=("heat-bath",)))
    assert found == {"energies"}


def test_a_correct_model_is_called_wrong_as_rarely_as_stated(few_lanes):
    """p-values of 12 seeds spread over (0, 1): none below 1e-3, the median not small."""
    p = []
    for seed in range(12):
        report = check_model(loaded("edwards_anderson_2d"), methods=("heat-bath",), seed=seed)
        p += [row.p_value for row in report.rows if row.p_value is not None]
    p = np.array(p)
    assert len(p) > 80
    assert p.min() > 1e-4
    assert 0.4 < np.median(p) < 0.9
    assert np.mean(p < 0.1) < 0.2


def write(tmp_path, text):
    path = tmp_path / "models.toml"
    path.write_text(text)
    return load(read_models(path)["mine"])


MINE = """
[mine]
title = "mine"
[mine.parameters]
N = 40
[mine.units]
s = { prior = "ising", shape = "N" }
[[mine.terms]]
couple = ["s", "s"]
J = "1 / N"
"""


def test_a_model_of_ones_own_is_checked(tmp_path, few_lanes):
    report = check_model(write(tmp_path, MINE + "[mine.small]\nN = 7\n"), methods=("heat-bath",))
    assert report.passed, format_report(report)
    assert (report.units, report.states, report.small) == (7, 128, (("N", "7"),))


def test_more_than_twelve_units_are_checked_by_their_moments(tmp_path, few_lanes):
    report = check_model(write(tmp_path, MINE + "[mine.small]\nN = 14\n"), methods=("heat-bath",))
    assert report.passed, format_report(report)
    assert not any("states" in row.what for row in report.rows)


def test_without_a_small_instance_the_model_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(InputError, match=r"mine.small") as caught:
        check_model(write(tmp_path, MINE))
    assert "at most 28 discrete units" in str(caught.value)


def test_an_instance_of_more_than_28_units_is_refused(tmp_path):
    with pytest.raises(InputError, match="29 discrete units"):
        check_model(write(tmp_path, MINE + "[mine.small]\nN = 29\n"))


def test_the_report_says_which_question_failed():
    report = check.CheckReport(
        "m", (("N", "4"),), 4, 16, "numba", 1e-4,
        (
            check_kernels.CheckRow("heat-bath", None, "energies", 0.0, None, True),
            check_kernels.CheckRow("heat-bath", 2.0, "ergodic, states", 99.0, 1e-9, False, "note"),
        ),
        (),
    )  # fmt: skip
    text = format_report(report)
    assert text.startswith("m: FAILED")
    assert "ergodic, states" in text
    assert "did not forget their start" in text
    assert format_report(replace(report, rows=report.rows[:1])).startswith("m: PASSED")
