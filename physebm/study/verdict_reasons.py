"""Why points, chains and estimates are not believed: every distinct reason once.

Reasons that differ in their numbers alone are one reason: told is the first, with its point and how
many others share it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from physebm.storage.dataset import DONE, EQUILIBRATION_MEANINGS
from physebm.storage.training_quantities import ESTIMATE_VERDICTS, RELIABILITY, VERDICTS

MOST_REASONS = 5
"""Reasons that are told per verdict."""

CHAINS_ADVICE = (
    "advice: chains come closer to the model with more `steps` per update, persistent ones also with a "
    "lower `learning_rate`"
)
TAU_ADVICE = "more `tau_sweeps` tell an autocorrelation time of which a lower bound alone is known"

_NUMBER = re.compile(r"\d[\d.]*(e[+-]?\d+)?")


@dataclass(frozen=True)
class _Judged:
    """A verdict: its variable, that of its reasons, words of its codes, the codes that are told."""

    name: str
    message: str
    words: Sequence[str]
    told: Sequence[int]
    what: str
    whose: str


_JUDGED = (
    _Judged("equilibration", "equilibration_message", EQUILIBRATION_MEANINGS, (1, 2), "", "point"),
    _Judged("chain_verdict", "chain_verdict_message", VERDICTS, (1, 2), "chains ", "training"),
    *(
        _Judged(
            f"log_z_{way}_verdict",
            f"log_z_{way}_verdict_message",
            ESTIMATE_VERDICTS,
            (1, 2),
            f"{words} log Z ",
            "training",
        )
        for way, words in (("ais", "annealed"), ("tracked", "tracked"))
    ),
)


def verdict_reasons(ds: xr.Dataset) -> list[str]:
    """Per verdict the distinct reasons, ``VERDICT at POINT: reason (and N more points)``.

    The first of the grid stands for all that differ from it in numbers alone; of more than
    `MOST_REASONS` the commonest are told. Where chains of a training do not follow their model, what
    helps comes last.

    Parameters
    ----------
    ds
        The summary of a result.
    """
    lines = []
    for each in _JUDGED:
        if each.name in ds and each.message in ds:
            lines += _lines(ds, each)
    if any(line.startswith("chains ") for line in lines):
        below = ds.get("chain_tau_reliable", xr.DataArray([])) == RELIABILITY.index("lower_bound")
        lines.append("; ".join([CHAINS_ADVICE, *[TAU_ADVICE] * bool(below.any())]))
    return lines


def _lines(ds: xr.Dataset, judged: _Judged) -> list[str]:
    verdict = ds[judged.name]
    codes, texts = verdict.values, ds[judged.message].transpose(*verdict.dims).values
    done = np.ones(codes.shape, dtype=bool)
    if judged.name == "equilibration":  # what failed was not judged
        done = (ds["status"] == DONE).transpose(*verdict.dims).values
    lines = []
    for code in judged.told:
        found: dict[str, list[tuple[int, ...]]] = {}
        for place in map(tuple, np.argwhere((codes == code) & done)):
            if str(texts[place]):
                found.setdefault(_NUMBER.sub("#", str(texts[place])), []).append(place)
        commonest = sorted(found.values(), key=len, reverse=True)
        for places in commonest[:MOST_REASONS]:
            at = ", ".join(f"{dim} = {_told(ds[dim], i)}" for dim, i in zip(verdict.dims, places[0]))
            head = f"{judged.what}{judged.words[code].replace('_', ' ')}" + (f" at {at}" if at else "")
            more = _more(len(places) - 1, judged.whose)
            lines.append(f"{head}: {texts[places[0]]}{more and f' (and {more})'}")
        left = _more(sum(map(len, commonest[MOST_REASONS:])), judged.whose)
        if left:
            word = judged.words[code].replace("_", " ")
            lines.append(f"{judged.what}{word}: {left} for other reasons, see `{judged.message}`")
    return lines


def _told(axis: xr.DataArray, place: int) -> str:
    value = axis.values[place]
    return f"{value:g}" if axis.dtype.kind == "f" else str(value)


def _more(count: int, whose: str) -> str:
    return f"{count} more {whose}{'s' * (count != 1)}" if count else ""
