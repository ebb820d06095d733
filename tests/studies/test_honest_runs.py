"""Runs that went wrong say so: frozen chains, cut series, quantities that are not defined."""

from pathlib import Path

import numpy as np
import pytest
from study_files import ISING, write

import physebm
from physebm.errors import InputError
from physebm.storage.netcdf import open_group
from physebm.study.results import JUDGED
from physebm.study.runner import run_study

STUDIES = Path(__file__).parents[2] / "studies"


def test_chains_frozen_in_different_valleys_have_large_errors_and_a_bad_verdict():
    model = physebm.load_model("ising_2d", L=16)
    record = ["energy", "replica_overlap", "magnetisation"]
    result = physebm.sample(model, 1.2, record=record, sweeps=1000, seed=4, chains=4)
    assert result.equilibration == 2
    series, _, reason = result.equilibration_message.item().partition(": ")
    assert series in ("magnetisation m", "overlap q of two chains")  # in words that the manual has
    assert "disagree" in reason
    assert abs(result.replica_overlap) < 4 * result.replica_overlap_stderr
    assert abs(result.magnetisation) < 4 * result.magnetisation_stderr


def test_specific_heat_of_frozen_chains_is_not_claimed():
    model = physebm.load_model("ising_2d", L=8)
    result = physebm.sample(model, 0.02, record=["specific_heat"], sweeps=1000, seed=5)
    assert result.specific_heat.item() <= 2 * result.specific_heat_stderr.item() or (
        result.specific_heat.item() == 0
    )


def test_specific_heats_differ_where_chains_sit_in_different_states():
    """Chains of a cold glass keep the valley that they fell into; those of a hot one share all."""
    model = physebm.load_model("sk", N=64)
    record = ["specific_heat", "specific_heat_within_chains"]
    result = physebm.sample(model, [0.05, 3.0], record=record, sweeps=2000, seed=6, chains=8)
    cold, hot = (result.sel(temperature=t) for t in (0.05, 3.0))
    assert cold.specific_heat > 3 * cold.specific_heat_within_chains > 0
    assert cold.equilibration == 2 and hot.equilibration == 0
    error = np.hypot(hot.specific_heat_stderr, hot.specific_heat_within_chains_stderr)
    assert abs(hot.specific_heat - hot.specific_heat_within_chains) < 4 * error
    assert hot.specific_heat_within_chains_stderr < 0.1 * hot.specific_heat_within_chains


def test_each_start_is_judged_by_its_own_run():
    """Frozen in the pattern is not drifting, whatever the random start does."""
    model = physebm.load_model("hopfield", N=200, P=4)
    result = physebm.sample(
        model, [0.05, 1.5], record=["retrieval_overlap"], sweeps=400, seed=2,
        scan={"start": ["pattern", "random"]},
    )  # fmt: skip
    frozen = result.equilibration_message.sel(start="pattern", temperature=0.05).item()
    assert "drift" not in frozen and "half" not in frozen
    assert (result.equilibration.sel(temperature=1.5) == 0).all()


def test_series_of_runs_of_different_length_share_one_true_time_axis(tmp_path):
    text = ISING.replace("temperature = [2.0, 2.5, 3.5]", "sweeps = [200, 12000]")
    text = text.replace("sweeps  = 320\n", "").replace("every   = 2", "every   = 1")
    path = write(tmp_path, text.replace("discard = 32", "discard = 0"))
    run_study(path, out=tmp_path / "a.nc")
    series = open_group(tmp_path / "a.nc", "series").energy
    assert series.draw.values[-1] == 12000 - 12000 % (series.draw.values[1] - series.draw.values[0])
    known = np.isfinite(series.sel(sweeps=200).values).all(axis=0)
    assert series.draw.values[known].max() <= 200
    assert np.isfinite(series.sel(sweeps=12000).values).all()


def test_a_model_of_many_arrays_compiles(tmp_path):
    layers = range(6)
    units = "\n".join(f'h{i} = {{ prior = "bernoulli", shape = 2 }}' for i in layers)
    arrays = "\n".join(
        f'W{i} = {{ law = "normal", std = 1, shape = [2, 2] }}\n'
        f'a{i} = {{ law = "normal", std = 1, shape = 2 }}'
        for i in layers
    )
    terms = "\n".join(
        [f'[[deep.terms]]\nfield = "h{i}"\nh = "a{i}"' for i in layers]
        + [f'[[deep.terms]]\ncouple = ["h{i}", "h{i + 1}"]\nJ = "W{i}"' for i in range(5)]
    )
    path = tmp_path / "models.toml"
    path.write_text(f"[deep.units]\n{units}\n[deep.arrays]\n{arrays}\n{terms}\n")
    model = physebm.load_model("deep", models=path)
    result = physebm.sample(model, 1.0, sweeps=64, discard=0)
    assert np.isfinite(result.energy.item())


@pytest.mark.parametrize("name", ["potts_2d", "ising_triangular"])
def test_a_correlation_length_that_is_not_defined_is_refused(name):
    model = physebm.load_model(name)
    with pytest.raises(InputError, match="xi/L is defined"):
        physebm.sample(model, 3.0, record=["correlation_length_over_L"], sweeps=64)


def test_the_chains_of_edwards_anderson_order_share_their_start():
    """From one random state at T = 0.05 two chains keep most of it in common."""
    model = physebm.load_model("sk", N=64)
    result = physebm.sample(model, 0.05, record=["q_edwards_anderson"], sweeps=400, seed=3)
    assert result.q_edwards_anderson.item() > 0.3


def test_a_delta_between_potts_units_of_different_q_is_refused(tmp_path):
    path = tmp_path / "models.toml"
    path.write_text(
        '[pq.units]\na = { prior = "potts", q = 3, shape = 2 }\n'
        'b = { prior = "potts", q = 2, shape = 2 }\n'
        '[[pq.terms]]\ncouple = ["a", "b"]\nJ = 1.0\n'
    )
    with pytest.raises(InputError, match="delta between potts units"):
        physebm.load_model("pq", models=path)


def test_series_that_reasons_of_verdicts_name_stand_in_the_manual():
    manual = " ".join((STUDIES / "README.md").read_text(encoding="utf-8").split())
    explained = manual.partition("A reason begins with the series")[2].partition("chance.")[0]
    for words in JUDGED.values():
        assert f"`{words}`" in explained
