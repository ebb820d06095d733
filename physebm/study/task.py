"""One task from start to finish: thermalise, measure, checkpoint, hand over.

The loop is a list of calls. Its state is the chain state, the recorder, and (tempered) the swap
statistics; all of it goes into one checkpoint file, so that a task killed at any moment continues
from its last checkpoint with the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from physebm.errors import ResultFileError
from physebm.sampling.chain import ChainState, Sampler
from physebm.sampling.tempering import reset
from physebm.schema.study_declarations import StudyDeclaration
from physebm.storage.arrays_file import read_arrays, write_arrays
from physebm.study import results, setup, tempered
from physebm.study.grid import Task
from physebm.study.interrupts import deferred
from physebm.study.measure import Recorder

CHECKPOINT_FORMAT = 2
CHECKPOINT_SECONDS = 20.0
# Results that took less are not flushed to disk one by one: they are soon computed again.
SYNCED_SECONDS = 2.0
# Sweeps between two looks at the clock while thermalising.
DISCARD_CHUNK = 256

Progress = Callable[[float], None]


class Saved(NamedTuple):
    """A checkpoint as read: arrays by name, and what JSON says beside them."""

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]


@dataclass
class Running:
    """The mutable state of a task."""

    sampler: Sampler
    state: ChainState
    recorder: Recorder
    kernel_seconds: float = 0.0
    slots: np.ndarray | None = None
    ladders: list[np.ndarray] | None = None


def run_task(
    study: StudyDeclaration,
    task: Task,
    backend: str,
    folder: Path,
    digest: str,
    progress: Progress = lambda fraction: None,
    trained: Mapping[int, Path] | None = None,
) -> Path:
    """Run or resume a task in its folder; returns the path of its result file.

    `trained` has the results of the trainings of its points, by number.
    """
    result = folder / "result.npz"
    if finished(result, digest):
        return result
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    prepared = setup.prepare(study, task, backend, trained)
    compiled = time.perf_counter()

    def hand_over(arrays: dict[str, np.ndarray], running: Running) -> Path:
        if study.observe.states:
            arrays |= _final_states(running, prepared)
        arrays |= prepared_arrays(prepared, running)
        seconds = time.perf_counter() - started
        meta = {
            "study": digest,
            "seconds": seconds,
            "setup_seconds": compiled - started,
            "kernel_seconds": running.kernel_seconds,
            "lanes": len(running.state.lanes),
        }
        write_arrays(result, arrays, meta, synced=seconds > SYNCED_SECONDS)
        (folder / "checkpoint.npz").unlink(missing_ok=True)
        progress(1.0)
        return result

    if study.sample.method == "zero-temperature":
        return hand_over(*_descend(prepared))
    checkpoint = folder / "checkpoint.npz"
    saved = _read(checkpoint, digest)
    running = _begin(prepared, saved)
    if saved is not None:
        _restore(running, saved)
    elif running.ladders is not None:
        _save(running, checkpoint, digest)
    with deferred() as check:
        _sample(running, prepared, checkpoint, digest, progress, check)
        return hand_over(_collect(running, prepared), running)


def finished(result: Path, digest: str) -> bool:
    """Whether a task's result is there and sound; one that is broken or another's is set aside."""
    if not result.exists():
        return False
    try:
        meta = read_arrays(result)[1]
    except ResultFileError:
        result.replace(result.with_suffix(".broken"))
        return False
    if meta.get("study") != digest:
        result.replace(result.with_suffix(".other"))
        return False
    return True


def _begin(prepared: setup.Prepared, saved: Saved | None = None) -> Running:
    """The state at the start; with a checkpoint, on the ladders that it was adapted to."""
    schedule, ladders = prepared.task.schedule, None
    if prepared.study.tempering is not None:
        known = None if saved is None else _part(saved.arrays, "ladder/")
        sampler, state, ladders = tempered.begin(prepared, known)
    else:
        sampler = prepared.sampler()
        chains = prepared.study.sample.chains
        lanes = setup.lanes_of(prepared)
        point, chain = setup.point_axis(prepared.task.points, chains)
        state = sampler.init(setup.initial_states(prepared, lanes, point, chain), lanes)
    recorder = Recorder(
        prepared.subject,
        prepared.params,
        prepared.coefficients,
        prepared.rung_of_point,
        prepared.instance_of_point,
        schedule.sweeps // schedule.every,
    )
    return Running(sampler, state, recorder, ladders=ladders)


def _sample(running, prepared, checkpoint: Path, digest: str, progress: Progress, check) -> None:
    """Advance to the end of the schedule, measuring after the discarded sweeps.

    `check` raises KeyboardInterrupt if a signal has come; between its calls sweeps are whole.
    """
    schedule = prepared.task.schedule
    draws = schedule.sweeps // schedule.every
    total = schedule.discard + draws * schedule.every
    saved = time.monotonic()
    while running.recorder.taken < draws:
        now = running.state.sweep
        step = min(DISCARD_CHUNK, schedule.discard - now) if now < schedule.discard else schedule.every
        before = time.perf_counter()
        running.state = running.sampler.step(running.state, step)
        running.kernel_seconds += time.perf_counter() - before
        if now >= schedule.discard:
            running.recorder.record(running.state, _positions(running, prepared))
        elif running.state.sweep == schedule.discard and prepared.study.tempering is not None:
            # reported exchanges and round trips are those of the measured sweeps
            running.state = reset(running.state)
        progress(running.state.sweep / total)
        try:
            check()
        except KeyboardInterrupt:
            _save(running, checkpoint, digest)
            raise
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            _save(running, checkpoint, digest)
            saved = time.monotonic()


def _positions(running, prepared) -> np.ndarray:
    """The lane that stands at each (point, chain) now."""
    chains = prepared.study.sample.chains
    if prepared.study.tempering is not None:
        if running.slots is None:
            running.slots = tempered.slots_of_points(running.sampler, prepared)
        return running.state.lane_of[running.slots]
    return np.arange(len(prepared.task.points) * chains).reshape(-1, chains)


def _collect(running, prepared) -> dict[str, np.ndarray]:
    schedule = prepared.task.schedule
    arrays = results.task_results(running.recorder, schedule.every)
    counts = [len(cell) for cell in prepared.task.cells]
    ends = np.cumsum(counts)
    cells = [list(range(end - count, end)) for end, count in zip(ends, counts)]
    points = prepared.task.points
    code, message = results.equilibration(
        running.recorder,
        cells,
        [point.temperature for point in points],
        [point.start.label for point in points],
    )
    arrays["equilibration"] = code
    arrays["equilibration_message"] = message.astype(str)
    if prepared.study.observe.series:
        for channel in running.recorder.series:
            series = running.recorder.series[channel]
            arrays[f"series/{channel}"] = series.series()
            arrays["series_bin"] = np.int64(series.bin_size * schedule.every)
    if prepared.study.tempering is not None:
        arrays |= tempered.report(running.sampler, running.state, prepared)
    return arrays


def _descend(prepared: setup.Prepared) -> tuple[dict[str, np.ndarray], Running]:
    """Zero-temperature dynamics: run the schedule, then one measurement of where the chains are."""
    schedule = prepared.task.schedule
    running = _begin(prepared)
    before = time.perf_counter()
    running.state = running.sampler.step(running.state, schedule.discard + schedule.sweeps)
    running.kernel_seconds += time.perf_counter() - before
    running.recorder.record(running.state, _positions(running, prepared))
    arrays = results.final_results(running.recorder)
    still = running.state.configurations.copy()
    further = running.sampler.step(
        ChainState(still, running.state.lanes, running.state.sweep, running.state.energies), 1
    )
    moved = np.zeros(len(running.state.lanes), dtype=bool)
    for name, x in further.configurations.x.items():
        moved |= (x != running.state.configurations.x[name]).any(axis=1)
    moved = moved.reshape(len(prepared.task.points), -1).any(axis=1)
    arrays["equilibration"] = np.where(moved, 2, 0).astype(np.int8)
    text = f"a chain was still moving after {running.state.sweep} sweeps: raise sample.sweeps"
    arrays["equilibration_message"] = np.where(moved, text, "")
    return arrays, running


def prepared_arrays(prepared: setup.Prepared, running: Running) -> dict[str, np.ndarray]:
    """Constants that the merge needs: units per point, the values of the overlap histogram."""
    points = len(prepared.task.points)
    arrays = {
        "n_units": np.full(points, prepared.hamiltonian.counted_units, dtype=np.int64),
        "beta": prepared.coefficients.beta[prepared.rung_of_point],
    }
    if prepared.subject.lattice_dimension:
        length = prepared.hamiltonian.counted[0].shape[0]
        arrays["length"] = np.full(points, length, dtype=np.int64)
    if running.recorder.histogram is not None:
        arrays["overlap_values"] = results.histogram_values(running.recorder)
    if prepared.subject.pattern_slot is not None:
        patterns = prepared.hamiltonian.slot(prepared.subject.pattern_slot).shape[0]
        arrays["patterns"] = np.full(points, patterns, dtype=np.int64)
    return arrays


def _final_states(running, prepared) -> dict[str, np.ndarray]:
    """Configurations of the visible (counted) groups at the end, ``[point, chain, unit]``."""
    lanes = _positions(running, prepared)
    x = running.state.configurations.x
    return {f"states/{g.name}": x[g.name][lanes] for g in prepared.hamiltonian.counted}


def _save(running: Running, path: Path, digest: str) -> None:
    state = running.state
    arrays = {f"x/{k}": v for k, v in state.configurations.x.items()}
    arrays |= {f"work/{k}": v for k, v in state.configurations.work.items()}
    arrays |= {f"record/{k}": np.asarray(v) for k, v in running.recorder.state_dict().items()}
    arrays |= {"rung": state.lanes.rung, "energies": state.energies}
    if running.ladders is not None:
        arrays |= {f"sampler/{k}": np.asarray(v) for k, v in running.sampler.checkpoint(state).items()}
        arrays |= {f"ladder/{k}": v for k, v in tempered.ladder_arrays(running.ladders).items()}
    meta = {
        "format": CHECKPOINT_FORMAT,
        "study": digest,
        "sweep": state.sweep,
        "kernel_seconds": running.kernel_seconds,
    }
    write_arrays(path, arrays, meta)


def _read(path: Path, digest: str) -> Saved | None:
    """A checkpoint of this study; one that is broken or another's is set aside."""
    if not path.exists():
        return None
    try:
        arrays, meta = read_arrays(path)
    except ResultFileError:
        path.replace(path.with_suffix(".broken"))
        return None
    if meta.get("study") != digest or meta.get("format") != CHECKPOINT_FORMAT:
        path.replace(path.with_suffix(".other"))
        return None
    return Saved(arrays, meta)


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _restore(running: Running, saved: Saved) -> None:
    """Continue from a checkpoint, in place."""
    state, arrays = running.state, saved.arrays
    for name, value in _part(arrays, "x/").items():
        state.configurations.x[name][...] = value
    for name, value in _part(arrays, "work/").items():
        state.configurations.work[name][...] = value
    state.lanes.rung[...] = arrays["rung"]
    state.energies = arrays["energies"]
    state.sweep = int(saved.meta["sweep"])
    running.kernel_seconds = float(saved.meta["kernel_seconds"])
    running.recorder.restore(_part(arrays, "record/"))
    if running.ladders is not None:
        running.sampler.restore(state, _part(arrays, "sampler/"))
