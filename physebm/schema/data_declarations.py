"""[train] data: which samples a model learns from, where they come from and what is done to them.

    { source = "digits" }            data that come with the package (iris: with scikit-learn)
    { path = "x.h5", ... }           a file, relative to the study; options as in `physebm.data.read`
    { source = "model", model = "sk", samples = 1000, ... }      samples of a declared model

The order of what is done: rows are taken, numbers scaled and binarised, sequences weighed, parts split
off, columns standardised, states brought to those of the units.
"""

from __future__ import annotations

import math
from abc import ABC
from typing import Any, ClassVar, Literal

import msgspec

from physebm.errors import InputError
from physebm.schema.axes import check_temperature
from physebm.schema.convert import Problem, decode, expression, nested
from physebm.schema.struct_rules import (
    Owner,
    Owners,
    fill,
    reduced,
    refuse_strangers,
    require_whole,
    unread_keys,
)
from physebm.schema.written import fields_of

READER_KEYS = (
    *("variable", "labels", "transpose", "shape", "header", "delimiter", "skip_columns"),
    *("alphabet", "unknown", "inserts", "max_gaps"),
)
TEACHER_KEYS = ("model", "set", "temperature", "samples", "discard", "every", "chains", "tempering")
NAMED = ("digits", "iris")
WEIGHTS = ("none", "sequence")

_STRICT = {"frozen": True, "forbid_unknown_fields": True, "kw_only": True}
_WORDS = (
    (None, "a file (`path`)"),
    *((name, f'source = "{name}"') for name in (*NAMED, "model")),
)


class Settings(ABC):  # noqa: B024 - a type that msgspec leaves to `decode_data`
    """Parameter name -> `Expression`."""


Settings.register(dict)


def decode_data(kind: type, value: object) -> object:
    """Decode the types of the structs below; raises `Problem`."""
    if kind is not Settings:
        return decode(kind, value)
    if not isinstance(value, dict):
        raise Problem(got=value, expected="a table of parameters")
    return {name: expression(held, f".{name}") for name, held in value.items()}


class SplitDeclaration(msgspec.Struct, **_STRICT):
    """Fractions of the samples that train, validate and test; they sum to 1.

    `train` is what the other two leave, where it is not written.
    """

    train: float | None = None
    validation: float = 0.0
    test: float = 0.0

    def __post_init__(self):
        for key in ("train", "validation", "test"):
            held = getattr(self, key)
            if held is not None and not 0.0 <= held <= 1.0:
                raise Problem(f".{key}", got=held, expected="a fraction, 0 to 1")
        rest = 1.0 - self.validation - self.test
        if self.train is None:
            msgspec.structs.force_setattr(self, "train", rest)
        if abs(self.train - rest) > 1e-9:
            got = f"a sum of {self.train + self.validation + self.test:g}"
            raise Problem(got=got, expected="fractions that sum to 1")
        if not self.train > 1e-9:
            raise Problem(got="nothing left to train on", expected="a train fraction above 0")

    @property
    def written(self) -> dict[str, float]:
        """As it stands in a study file; `train` is the rest."""
        return {"validation": self.validation, "test": self.test}


class DataDeclaration(msgspec.Struct, **_STRICT):
    """The data of [train]: exactly one of source and path.

    Attributes
    ----------
    variable, labels, transpose, shape, header, delimiter, skip_columns, alphabet, unknown, inserts,
    max_gaps
        Options of the file's reader.
    binarise, scale
        A threshold, or "sample": draw 0/1 with the grey value as probability; ``[low, high]`` are the
        values that count as 0 and 1 (None: what the source says).
    map
        Bring 0/1 to -1/1 for ising units, -1/1 to 0/1 for bernoulli units.
    standardise
        Every column to mean 0 and variance 1 over the training samples.
    weights, identity
        "none", "sequence" (similar sequences share one weight, similar from `identity` on), or the
        array or column of the file that holds them.
    rows
        ``[first, stop]``, counted from 0.
    split
        Parts for training, validation and test, chosen by the seed.
    model, set, temperature
        The model that makes the data, its parameters and its temperature.
    samples, discard, every, chains, tempering
        How many samples, after so many sweeps, every so many sweeps of so many chains; with a ladder
        of replicas, as long as their exchanges need.
    """

    owners: ClassVar[Owners] = {
        **dict.fromkeys(READER_KEYS, (Owner("source", (None,), None, _WORDS),)),
        **dict.fromkeys(TEACHER_KEYS, (Owner("source", ("model",), None, _WORDS),)),
        **dict.fromkeys(("binarise", "scale"), (Owner("source", (None, *NAMED), None, _WORDS),)),
        "identity": (Owner("weights", ("sequence",), "none"),),
    }

    source: Literal["digits", "iris", "model"] | None = None
    path: str | None = None
    variable: str | None = None
    labels: str | int | None = None
    transpose: bool | None = None
    shape: int | tuple[int, ...] | None = None
    header: bool | None = None
    delimiter: str | None = None
    skip_columns: int | None = None
    alphabet: str | None = None
    unknown: Literal["error", "gap", "drop"] | None = None
    inserts: Literal["error", "remove"] | None = None
    max_gaps: float | None = None
    binarise: float | str | None = None
    scale: tuple[float, ...] | None = None
    map: bool = False
    standardise: bool = False
    weights: str | int = "none"
    identity: float | None = None
    rows: tuple[int, ...] | None = None
    split: SplitDeclaration = SplitDeclaration()
    model: str | None = None
    set: Settings | None = None
    temperature: float | None = None
    samples: int | None = None
    discard: int | None = None
    every: int | None = None
    chains: int | None = None
    tempering: bool | None = None

    def __post_init__(self):
        if (self.source is None) == (self.path is None):
            got = "source, path" if self.path is not None else None
            raise Problem(got=got, expected="exactly one of: source, path")
        if self.path == "":
            raise Problem(".path", got="", expected="the name of a file")
        refuse_strangers(self)
        require_whole(self, samples=1, discard=0, every=1, chains=1, skip_columns=0)
        self._check_numbers()
        if self.source == "model":
            for key in ("model", "samples"):
                if getattr(self, key) is None:
                    raise Problem(expected=f"a key `{key}`, which data of a model need")
        if self.weights not in WEIGHTS and self.path is None:
            hint = "other words name an array or a column of a file"
            raise Problem(".weights", got=self.weights, expected=WEIGHTS, hint=hint)
        fill(self, {"transpose": False, "identity": 0.8, "set": {}, "temperature": 1.0})
        fill(self, {"discard": 1000, "every": 10, "chains": 100, "tempering": False})

    def _check_numbers(self) -> None:
        if isinstance(self.binarise, str):
            legal = self.binarise == "sample"
        else:
            legal = self.binarise is None or math.isfinite(self.binarise)
        if not legal:
            raise Problem(".binarise", got=self.binarise, expected='a threshold, or "sample"')
        if self.scale is not None and not _ascending(self.scale, -math.inf):
            expected = "two numbers [low, high], low < high, that become 0 and 1"
            raise Problem(".scale", got=list(self.scale), expected=expected)
        if self.rows is not None and not _ascending(self.rows, 0):
            expected = "[first, stop] with 0 <= first < stop, counted from 0"
            raise Problem(".rows", got=list(self.rows), expected=expected)
        sizes = (self.shape,) if isinstance(self.shape, int) else self.shape
        if sizes is not None and not (sizes and min(sizes) >= 1):
            raise Problem(".shape", got=list(sizes), expected="the sizes of one sample, 1 or more")
        if self.max_gaps is not None and not 0.0 <= self.max_gaps <= 1.0:
            raise Problem(".max_gaps", got=self.max_gaps, expected="a fraction, 0 to 1")
        if self.identity is not None and not 0.0 < self.identity <= 1.0:
            raise Problem(".identity", got=self.identity, expected="a fraction, above 0 to 1")
        if self.temperature is not None:
            try:
                check_temperature(self.temperature, "")
            except InputError as problem:
                raise Problem(".temperature", got=problem.got, expected=problem.expected) from None

    def __reduce__(self):
        return reduced(self)

    @property
    def unread(self) -> tuple[str, ...]:
        """Keys that mean nothing for this source."""
        return unread_keys(self)

    def reader_options(self) -> dict[str, Any]:
        """The arguments of `physebm.data.read.read_data` besides the file."""
        options = {key: getattr(self, key) for key in READER_KEYS}
        return options | {"weights": None if self.weights in WEIGHTS else self.weights}

    def with_path(self, path: str) -> DataDeclaration:
        """Another file, all of it, brought to states in the same way: to score new data."""
        kept = ("binarise", "scale", "map", "standardise")
        kept = kept if self.path is None else (*kept, *READER_KEYS)
        table = {key: held for key, held in fields_of(self).items() if key in kept}
        return nested({**table, "path": path}, DataDeclaration, decode_data)


def _ascending(pair: tuple[float, ...], least: float) -> bool:
    return len(pair) == 2 and all(map(math.isfinite, pair)) and least <= pair[0] < pair[1]
