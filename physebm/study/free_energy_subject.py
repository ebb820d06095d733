"""What free energies are estimated of."""

from __future__ import annotations

from dataclasses import dataclass

from physebm.model.params import Params
from physebm.schema.load import Loaded
from physebm.study.training_data import TrainingData


@dataclass(frozen=True)
class Subject:
    """The model whose free energies are asked for, and what it was trained on.

    `temperatures` are hottest first; `name` addresses its random words.
    """

    loaded: Loaded
    params: Params
    temperatures: tuple[float, ...]
    seed: int
    name: tuple[object, ...]
    data: TrainingData | None = None
