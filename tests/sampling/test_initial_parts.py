"""Random starts are drawn in parts; the parts change nothing."""

import numpy as np
import pytest

from physebm.backends.base import Lanes
from physebm.lowering.pipeline import lower
from physebm.sampling import initial
from physebm.study.models import load_model


@pytest.mark.parametrize(
    "name", ["ising_2d", "potts_2d", "rbm_gaussian_hidden", "rbm_truncated_gaussian_hidden"]
)
def test_random_starts_do_not_depend_on_how_many_are_drawn_together(name, monkeypatch):
    plan = lower(load_model(name).hamiltonian)
    count = 7
    lanes = Lanes(np.zeros(count), np.zeros(count), np.arange(count), np.ones((count, 2)))
    for g, group in enumerate(plan.groups):
        scale = np.linspace(0.5, 1.0, count)[:, None]
        monkeypatch.setattr(initial, "_TOGETHER", 1 << 18)
        whole = initial.random(plan, lanes, g, slice(None), scale, 0.25)
        assert whole.shape == (count, group.size) and len(np.unique(whole)) > 1
        monkeypatch.setattr(initial, "_TOGETHER", 3 * group.size)
        assert np.array_equal(initial.random(plan, lanes, g, np.arange(count), scale, 0.25), whole)
        some = initial.random(plan, lanes, g, np.array([5, 2]), scale[[5, 2]], 0.25)
        assert np.array_equal(some, whole[[5, 2]])
