"""`physebm estimate` of a study that trains: work counted exactly, time from a few updates."""

import pytest
from counted_sweeps import Counting

from physebm.study import free_energy_costs as costs
from physebm.study import training
from physebm.study.estimate import estimate_study
from physebm.study.opened import open_study

STUDY = """
title = "estimate"
model = "rbm"
[set]
Nv = 64
Nh = 10
[scan.train]
method = ["pcd", "rdm"]
[train]
data = { source = "digits", binarise = 0.5 }
steps = 3
chains = 20
batch = 50
updates = 40
record = { every = 20 }
tau_sweeps = 7
"""
LIKELIHOOD = """
[train.likelihood]
chains = 16
temperatures = 12
sweeps = 2
"""


def opened(tmp_path, text):
    path = tmp_path / "s.toml"
    path.write_text(text, encoding="utf-8")
    return open_study(path, out=tmp_path / "r.nc")


def test_trainings_are_estimated_without_being_run(tmp_path):
    rows = estimate_study(opened(tmp_path, STUDY))
    assert [row.task for row in rows] == ["train0001", "train0002"]
    for row in rows:
        # updates, and at the ages 0, 20 and 40 the chains that measure tau
        assert row.unit_updates == row.random_words == (40 * 3 + 3 * 7) * 20 * 74
        assert row.lanes == 20 and 0 < row.seconds < 60
        assert row.nbytes > 1797 * 64
    assert list(tmp_path.iterdir()) == [tmp_path / "s.toml"]


@pytest.mark.parametrize("method, annealed", [("rdm", 2), ("pt", 3)])
def test_a_training_makes_the_sweeps_that_are_counted(tmp_path, monkeypatch, method, annealed):
    """With records of tau, annealing at some ages, and walkers that follow."""
    text = STUDY.replace('["pcd", "rdm"]', f'["{method}"]').replace("updates = 40", "updates = 6")
    text = text.replace("every = 20", "every = 3") + LIKELIHOOD
    if annealed == 2:
        text += "every = 2\n"
    study = opened(tmp_path, text)
    (row,) = estimate_study(study)
    counting = Counting()
    monkeypatch.setattr(training, "select", lambda name: counting)
    (part,) = study.grid.trainings
    training.run_training(study.study, part, study.models, "numba", tmp_path / "work", "digest")
    assert row.unit_updates == 74 * counting.sweeps
    asked = part.declared.likelihood
    ages = asked.annealed(part.declared.ages())
    assert len(ages) == annealed and counting.sweeps > annealed * costs.annealing_sweeps(asked, 20)
