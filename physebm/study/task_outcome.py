"""What became of a sampling task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from physebm.storage.arrays_file import read_arrays
from physebm.study.grid import Task


@dataclass
class TaskOutcome:
    """What became of a task: its result arrays, or the message of its failure."""

    task: Task
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""

    @cached_property
    def index(self) -> np.ndarray:
        """Where its points stand on the axes of the grid, ``[point, axis]``."""
        return np.array([point.index for point in self.task.points], dtype=np.int64)


def read_outcome(task: Task, result: Path | None, failure: str = "") -> TaskOutcome:
    """The outcome of a task from its result file, or from the message that it failed with."""
    if result is None:
        return TaskOutcome(task, failure=failure)
    arrays, meta = read_arrays(result)
    return TaskOutcome(task, arrays, meta)
