"""Tempered studies: ladders that keep their promises, and the invariances of untempered ones."""

import numba
import numpy as np
import pytest
from study_files import assert_same_bits, write

from physebm.storage.netcdf import open_group, open_summary
from physebm.study import grid, task
from physebm.study.runner import run_study

SK = """
title = "small tempered SK study"
model = "sk"
seed  = 11
[set]
N = 24
[scan]
disorder    = 3
temperature = [0.3, 0.8, 1.6]
[sample]
chains  = 2
discard = 96
sweeps  = 128
every   = 2
[tempering]
acceptance = 0.6
[observe]
record = ["energy", "replica_overlap_squared"]
"""

ISING = """
title = "small tempered Ising study"
model = "ising_2d"
seed  = 7
[set]
L = 4
[scan]
start       = ["random", "all-up"]
temperature = [1.6, 2.3, 3.5]
[sample]
chains  = 2
discard = 64
sweeps  = 128
every   = 2
[tempering]
every  = 2
rounds = 4
[observe]
record = ["energy", "magnetisation"]
"""

TEXTS = {"sk": SK, "ising": ISING}
texts = pytest.mark.parametrize("name", TEXTS)


def run(path, folder, *, out="a.nc", overrides=(), **options):
    """The summary and the ladder reports of a study."""
    result = run_study(path, overrides, out=folder / out, **options).result
    return open_summary(result), open_group(result, "tempering")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The summary and ladder reports of the two studies, each run once."""
    folder = tmp_path_factory.mktemp("whole")
    return {name: run(write(folder, text), folder, out=f"{name}.nc") for name, text in TEXTS.items()}


def assert_same(a, b):
    for one, other in zip(a, b):
        assert_same_bits(one, other)


@texts
def test_an_interrupted_tempered_run_ends_with_the_same_bits(tmp_path, monkeypatch, whole, name):
    path = write(tmp_path, TEXTS[name])

    monkeypatch.setattr(task, "CHECKPOINT_SECONDS", 0.0)
    steps = []
    original = task.Recorder.record

    def interrupted(self, state, lanes_of):
        original(self, state, lanes_of)
        steps.append(1)
        if len(steps) in (7, 50):
            raise KeyboardInterrupt

    monkeypatch.setattr(task.Recorder, "record", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_study(path, out=tmp_path / "b.nc")
        assert list((tmp_path / "b.work").glob("*/checkpoint.npz"))
    assert_same(whole[name], run(path, tmp_path, out="b.nc"))


@texts
def test_batching_changes_no_bit_of_a_tempered_study(tmp_path, monkeypatch, whole, name):
    path = write(tmp_path, TEXTS[name])
    monkeypatch.setattr(grid, "LANES_PER_TASK", 4)
    assert_same(whole[name], run(path, tmp_path, out="b.nc"))


def test_threads_and_workers_change_no_bit_of_a_tempered_study(tmp_path, whole):
    path = write(tmp_path, SK)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert_same(whole["sk"], run(path, tmp_path, out="b.nc"))
    finally:
        numba.set_num_threads(before)
    assert_same(whole["sk"], run(path, tmp_path, out="c.nc", workers=2))


def test_more_samples_of_disorder_leave_the_ladders_of_the_others_alone(tmp_path, whole):
    small, ladders = whole["sk"]
    large, more = run(write(tmp_path, SK), tmp_path, overrides=["scan.disorder=8"])
    part = large.sel(disorder=small.disorder)
    for name in ("energy", "energy_stderr", "replica_overlap_squared"):
        assert small[name].values.tobytes() == part[name].values.tobytes()
    for name in ("barrier", "round_trips"):
        same = more[name].sel(disorder=ladders.disorder)
        assert ladders[name].values.tobytes() == same.values.tobytes()
    # samples have ladders of different lengths, padded with NaN to the longest of the study
    lengths = np.isfinite(more.ladder_temperature.values).sum(axis=1)
    assert len(set(lengths)) > 1
    assert (np.isfinite(more.swap_acceptance.values).sum(axis=1) == lengths - 1).all()
    for own, padded in zip(ladders.ladder_temperature.values, more.ladder_temperature.values):
        assert np.array_equal(own[np.isfinite(own)], padded[np.isfinite(padded)])


def test_the_order_of_the_scanned_temperatures_changes_no_number(tmp_path, whole):
    up, ladders = whole["ising"]
    over = ["scan.temperature=[3.5, 1.6, 2.3]"]
    shuffled, same = run(write(tmp_path, ISING), tmp_path, overrides=over)
    back = shuffled.sel(temperature=up.temperature).transpose(*up.dims)
    for name in ("energy", "energy_stderr", "magnetisation"):
        assert (up[name].values == back[name].values).all()
    assert_same_bits(ladders, same)


def test_scanned_temperatures_are_rungs_exactly_and_inserted_ones_meet_the_target(tmp_path):
    path = write(tmp_path, SK)
    _, report = run(path, tmp_path, overrides=["sample.discard=600", "scan.disorder=1"])
    (rungs,), (swap,) = report.ladder_temperature.values, report.swap_acceptance.values
    assert np.isin([0.3, 0.8, 1.6], rungs).all() and len(rungs) > 3
    assert (np.diff(rungs) > 0).all()
    assert len(swap) == len(rungs) - 1 and (swap > 0.54).all()
    assert (report.round_trips.values > 0).all()


def test_a_ladder_as_scanned_has_no_other_rungs(tmp_path):
    path = write(tmp_path, ISING.replace("rounds = 4", 'ladder = "as-scanned"'))
    _, report = run(path, tmp_path)
    assert (report.ladder_temperature.values == [1.6, 2.3, 3.5]).all()


def test_rounds_too_short_to_try_every_gap_leave_the_ladder_as_it_is(tmp_path):
    """A gap that was never tried is not one that rejects everything."""
    path = write(tmp_path, ISING)
    over = ["sample.discard=24", "tempering.every=10", "tempering.rounds=1"]
    _, report = run(path, tmp_path, overrides=over)
    assert (report.ladder_temperature.values == [1.6, 2.3, 3.5]).all()


def test_backends_agree_on_every_bit_of_a_tempered_integer_model(tmp_path, whole):
    path = write(tmp_path, ISING)
    assert_same(whole["ising"], run(path, tmp_path, backend="reference"))
