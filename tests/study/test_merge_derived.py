"""Derived quantities of many points at once are those of every point alone, bit for bit."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from physebm.observables.chains import chain_error, honest_error
from physebm.observables.derived import DERIVED, estimate
from physebm.study import merge_derived
from physebm.study.grid import Grid
from physebm.study.merge_derived import derived_estimates, places
from physebm.study.task_outcome import TaskOutcome


def tasks_of(axes, names, rng, chains=2, left_out=(), blocks=lambda point: 32):
    """A grid and outcomes of its points, cut into tasks of equal blocks in no particular order."""
    points = [
        SimpleNamespace(index=index)
        for index in product(*(range(len(values)) for values in axes.values()))
        if index not in left_out
    ]
    rng.shuffle(points)
    outcomes = []
    for count in sorted({blocks(point) for point in points}):
        alike = [point for point in points if blocks(point) == count]
        for at in range(0, len(alike), 3):
            held = tuple(alike[at : at + 3])
            arrays = {"n_units": np.full(len(held), 16), "length": np.full(len(held), 4)}
            arrays["beta"] = rng.uniform(0.5, 1.0, len(held))
            for name in names:
                arrays[f"blocks/{name}"] = rng.gamma(2.0, size=(count, len(held)))
                if chains > 1:
                    arrays[f"without/{name}"] = rng.gamma(2.0, size=(chains, len(held)))
            outcomes.append(TaskOutcome(SimpleNamespace(points=held), arrays))
    every = tuple(SimpleNamespace(index=i) for i in product(*(range(len(v)) for v in axes.values())))
    return Grid(axes, (), all_points=every), outcomes


def alone(outcomes, derived, wanted):
    """The estimate of the points with these indices, samples in the order given."""
    held = {p.index: (o.arrays, i) for o in outcomes for i, p in enumerate(o.task.points)}
    members = [held[index] for index in wanted if index in held]
    if not members:
        return np.nan, np.nan
    arrays, at = members[0]
    constants = {c: arrays[c][at] for c in derived.constants}
    blocks = {m: np.stack([a[f"blocks/{m}"][:, i] for a, i in members]) for m in derived.moments}
    value, error = estimate(derived, blocks, constants, disorder=True)
    if len(members) == 1 and f"without/{derived.moments[0]}" in arrays:
        without = [arrays[f"without/{m}"][:, at] for m in derived.moments]
        known = list(constants.values())
        scatter = chain_error(value, lambda *means: derived.formula(*means, *known), *without)
        error = honest_error(error, None, scatter, len(without[0]))
    return value, error


@pytest.mark.parametrize("chains", [1, 2, 11])
@pytest.mark.parametrize("name", ["specific_heat", "binder", "susceptibility"])
def test_points_without_disorder(name, chains):
    axes = {"temperature": (1.0, 2.0, 3.0, 4.0), "L": (4, 8)}
    derived = DERIVED[name]
    grid, outcomes = tasks_of(
        axes,
        derived.moments,
        np.random.default_rng(3),
        chains,
        left_out=[(1, 1)],
        blocks=lambda point: 32 + point.index[1],
    )
    value, error, tau = derived_estimates(grid, outcomes, name)
    assert tau is None and value.shape == (4, 2)
    for index in np.ndindex(4, 2):
        assert np.array_equal(
            (value[index], error[index]), alone(outcomes, derived, [index]), equal_nan=True
        )
    assert np.isnan(value).sum() == 1


@pytest.mark.parametrize("chunk", [1 << 22, 64])
@pytest.mark.parametrize("name", ["binder_overlap", "correlation_length_over_L"])
def test_points_averaged_over_samples_some_of_which_failed(name, chunk, monkeypatch):
    monkeypatch.setattr(merge_derived, "_CHUNK", chunk)
    axes = {"L": (4, 6), "disorder": (0, 1, 2, 3), "temperature": (1.0, 2.0, 3.0)}
    derived = DERIVED[name]
    left_out = [(0, 1, 2), *((1, d, 0) for d in range(4)), *((1, d, 1) for d in range(3))]
    grid, outcomes = tasks_of(axes, derived.moments, np.random.default_rng(4), left_out=left_out)
    value, error, _ = derived_estimates(grid, outcomes, name)
    assert value.shape == (2, 3) and np.isnan(value).sum() == 1
    for a, t in np.ndindex(2, 3):
        want = alone(outcomes, derived, [(a, d, t) for d in range(4)])
        assert np.array_equal((value[a, t], error[a, t]), want, equal_nan=True)


def test_a_study_of_one_point_and_one_of_samples_alone():
    rng = np.random.default_rng(5)
    derived = DERIVED["binder_overlap"]
    for axes, wanted in (({}, [()]), ({"disorder": (0, 1, 2)}, [(0,), (1,), (2,)])):
        grid, outcomes = tasks_of(axes, derived.moments, rng)
        value, error, _ = derived_estimates(grid, outcomes, "binder_overlap")
        assert value.shape == () and (value, error) == alone(outcomes, derived, wanted)


def test_what_was_not_recorded_has_no_estimate():
    grid, outcomes = tasks_of({"L": (4, 8)}, ("m2",), np.random.default_rng(6))
    assert derived_estimates(grid, outcomes, "binder") is None


def test_places_are_those_of_numpy():
    index = np.array(list(np.ndindex(3, 1, 4)))
    assert np.array_equal(places(index, (3, 1, 4)), np.arange(12))
    assert places(np.zeros((1, 0), dtype=np.int64), ()).tolist() == [0]
