"""[train]: how the trainable arrays of a model are fitted to data, every default resolved.

    data      { source | path, ... }, see `physebm.schema.data_declarations`
    method    cd, pcd, pt, rdm     a gradient with Markov chains
              exact                the same with all states enumerated
              pseudo-likelihood    without chains, for visible discrete units
              mean-field, tap, bethe      inversion of the correlations, in one update

Keys that a method does not read are refused where they are written (`Owner`); `unread` lists them.
"""

from __future__ import annotations

import math
from abc import ABC
from typing import Any, ClassVar, Literal

import msgspec

from physebm.schema.convert import Problem, nested
from physebm.schema.data_declarations import DataDeclaration, decode_data
from physebm.schema.recorded_ages import AgeList, Record, RecordDeclaration, read_record
from physebm.schema.struct_rules import (
    Owner,
    Owners,
    fill,
    reduced,
    refuse_strangers,
    require_positive,
    require_share,
    require_whole,
    unread_keys,
)
from physebm.schema.written import fields_of

CHAIN_METHODS = ("cd", "pcd", "pt", "rdm")
CLIMBING = (*CHAIN_METHODS, "exact", "pseudo-likelihood")
INVERSIONS = ("mean-field", "tap", "bethe")
METHODS = (*CLIMBING, *INVERSIONS)

# One walker in each of the blocks whose scatter is the error.
LEAST_WALKERS = 16

_STRICT = {"frozen": True, "forbid_unknown_fields": True, "kw_only": True}


class Rate(ABC):  # noqa: B024 - a type that msgspec leaves to `decode_train`
    """A `RateDeclaration`: a number or a table in the file."""


class Strengths(ABC):  # noqa: B024
    """Array name -> number, zero or more."""


Strengths.register(dict)


class RateDeclaration(msgspec.Struct, **_STRICT):
    """The learning rate: `start`, and how it goes on over the updates.

    linear and exponential reach `end` at the last update; power is
    ``start / (1 + t / half)**power``.
    """

    owners: ClassVar[Owners] = {
        "end": (Owner("schedule", ("linear", "exponential"), "constant"),),
        "half": (Owner("schedule", ("power",), "constant"),),
        "power": (Owner("schedule", ("power",), "constant"),),
    }

    start: float
    end: float | None = None
    schedule: Literal["constant", "linear", "exponential", "power"] = "constant"
    half: float | None = None
    power: float | None = None

    def __post_init__(self):
        refuse_strangers(self)
        require_positive(self, "start", "end", "half", "power")
        if self.schedule in ("linear", "exponential") and self.end is None:
            raise Problem(expected=f"a key `end`, which schedule {self.schedule} needs")
        fill(self, {"half": 1000.0, "power": 1.0})

    def __reduce__(self):
        return reduced(self)

    @property
    def unread(self) -> tuple[str, ...]:
        """Keys that the schedule does not read."""
        return unread_keys(self)

    @property
    def written(self) -> float | dict[str, Any]:
        """As it stands in a study file."""
        return self.start if self.schedule == "constant" else fields_of(self)


Rate.register(RateDeclaration)


class LikelihoodDeclaration(msgspec.Struct, **_STRICT):
    """[train.likelihood]: log-likelihoods by estimates of log Z, where no exact sum reaches.

    At every `every`-th recorded age (and the first and last) annealed importance sampling: `chains`
    chains each way over `temperatures` models, `sweeps` sweeps in each. As many walkers follow the
    training, `sweeps` sweeps per update, and carry weights; blocks of them are resampled where their
    effective number falls below the share `resample`.
    """

    chains: int = 200
    temperatures: int = 500
    sweeps: int = 1
    every: int = 1
    resample: float = 0.5

    def __post_init__(self):
        require_whole(self, chains=LEAST_WALKERS, temperatures=2, sweeps=1, every=1)
        require_share(self, resample="a share of the walkers")

    def annealed(self, ages: tuple[int, ...]) -> tuple[int, ...]:
        """The ages, among those recorded, at which annealing is asked for."""
        return tuple(sorted({*ages[:: self.every], ages[-1]}))


_BY_METHOD = {
    "steps": CHAIN_METHODS,
    "chains": ("pcd", "pt", "rdm"),
    "start": ("pcd", "pt"),
    "rungs": ("pt",),
    "hottest": ("pt",),
    "tau_sweeps": CHAIN_METHODS,
    "positive": (*CHAIN_METHODS, "exact"),
    "positive_steps": (*CHAIN_METHODS, "exact"),
    "pseudocount": INVERSIONS,
    **dict.fromkeys(("batch", "updates", "learning_rate", "optimiser", "momentum"), CLIMBING),
    **dict.fromkeys(("gradient", "l1", "l2", "clip", "gauge"), CLIMBING),
    **dict.fromkeys(("initial_fields", "record"), CLIMBING),
    "likelihood": (*CHAIN_METHODS, "pseudo-likelihood"),
}
_OWNERS = {key: (Owner("method", methods, "pcd"),) for key, methods in _BY_METHOD.items()}
_OWNERS["momentum"] += (Owner("optimiser", ("momentum",), "sgd"),)
_OWNERS["positive_steps"] += (Owner("positive", ("sampled",), "mean-field"),)


class TrainDeclaration(msgspec.Struct, **_STRICT):
    """[train]; keys that the method does not read hold their defaults.

    Attributes
    ----------
    steps, chains
        Sweeps per update; chains of the model (cd: as many as the batch has samples).
    batch, updates
        Samples per update (None: all); an inversion makes one update.
    optimiser, momentum, gradient, clip
        The rule of the step; the gradient in plain or centred variables; its largest norm.
    l1, l2
        Strength of the penalties by array.
    gauge
        Of Potts couplings: training stays within it, penalties are maximised within it.
    positive, positive_steps
        Hidden units that do not factorise given the data: by mean field, or sampled in so many
        sweeps per update.
    initial_fields
        Visible fields start at those of independent units, or as declared.
    start
        Persistent chains start at random or at the data.
    rungs, hottest
        Replicas of every tempered chain, and the factor of H in the hottest.
    pseudocount
        Share of independent uniform data that is mixed into the moments of an inversion.
    record, snapshots
        Recorded ages, and whether every one keeps the arrays.
    tau_sweeps
        Sweeps of frozen chains that measure their autocorrelation time at each age; 0: none.
    likelihood
        How log-likelihoods are estimated along the training; None: not at all.
    """

    owners: ClassVar[Owners] = _OWNERS

    data: DataDeclaration
    method: Literal[
        "cd", "pcd", "pt", "rdm", "exact", "pseudo-likelihood", "mean-field", "tap", "bethe"
    ] = "pcd"
    steps: int | None = None
    chains: int | None = None
    batch: int | None = None
    updates: int | None = None
    learning_rate: Rate | None = None
    optimiser: Literal["sgd", "momentum", "adam"] | None = None
    momentum: float | None = None
    gradient: Literal["plain", "centred"] | None = None
    l1: Strengths | None = None
    l2: Strengths | None = None
    clip: float | None = None
    gauge: Literal["none", "zero-sum", "lattice-gas"] | None = None
    positive: Literal["mean-field", "sampled"] | None = None
    positive_steps: int | None = None
    initial_fields: Literal["data", "declared"] | None = None
    start: Literal["random", "data"] | None = None
    rungs: int | None = None
    hottest: float | None = None
    pseudocount: float | None = None
    record: Record | None = None
    snapshots: bool = True
    tau_sweeps: int | None = None
    likelihood: LikelihoodDeclaration | None = None

    def __post_init__(self):
        if self.likelihood is not None and self.method == "exact":
            hint = "method exact sums all states: its log-likelihoods are recorded without an error"
            raise Problem(".likelihood", got=fields_of(self.likelihood), hint=hint)
        refuse_strangers(self)
        require_whole(self, steps=1, chains=1, batch=1, updates=1, positive_steps=1, rungs=2)
        require_whole(self, tau_sweeps=0)
        require_positive(self, "clip")
        require_share(self, momentum="a number", hottest="a factor of H", pseudocount="a share")
        fill(
            self,
            {
                "steps": 10,
                "chains": 500,
                "updates": 1 if self.method in INVERSIONS else 1000,
                "learning_rate": RateDeclaration(start=0.01),
                "optimiser": "sgd",
                "momentum": 0.9,
                "gradient": "plain",
                "l1": {},
                "l2": {},
                "gauge": "none",
                "positive": "mean-field",
                "positive_steps": 10,
                "initial_fields": "data",
                "start": "random",
                "rungs": 10,
                "hottest": 0.0,
                "pseudocount": 0.0,
                "record": RecordDeclaration(logspace=40),
                "tau_sweeps": 200 if self.method in CHAIN_METHODS else 0,
            },
        )
        if isinstance(self.record, AgeList):
            self.record.check(self.updates)
        if self.method == "exact" and self.positive == "sampled":
            hint = "method exact has no chains that could sample the hidden units"
            raise Problem(".positive", got="sampled", expected=["mean-field"], hint=hint)

    def __reduce__(self):
        return reduced(self)

    @property
    def unread(self) -> tuple[str, ...]:
        """Keys that the method does not read."""
        return unread_keys(self)

    def ages(self) -> tuple[int, ...]:
        """The recorded ages: numbers of updates done, from 0 to the last, ascending."""
        return self.record.ages(self.updates)


def decode_train(kind: type, value: object) -> object:
    """Decode the types of the structs above; raises `Problem`."""
    if kind is Rate:
        if isinstance(value, int | float) and not isinstance(value, bool):
            if not (math.isfinite(value) and value > 0):
                raise Problem(got=value, expected="a number above zero")
            return RateDeclaration(start=float(value))
        if not isinstance(value, dict):
            raise Problem(got=value, expected="a number, or a table with start, end and schedule")
        return nested(value, RateDeclaration)
    if kind is Record:
        return read_record(value)
    if kind is Strengths:
        return _strengths(value)
    return decode_data(kind, value)


def _strengths(value: object) -> dict[str, float]:
    if not isinstance(value, dict):
        raise Problem(got=value, expected="a table, array name = strength, as in { W = 0.001 }")
    for name, held in value.items():
        number = isinstance(held, int | float) and not isinstance(held, bool)
        if not number or not (math.isfinite(held) and held >= 0):
            raise Problem(f".{name}", got=held, expected="a number, zero or more")
    return {name: float(held) for name, held in value.items()}
