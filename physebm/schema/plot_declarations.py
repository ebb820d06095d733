"""[plot]: the figures of a study, each a table named by its kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from physebm.errors import StudyFileError
from physebm.schema.convert import Problem, convert, require_table
from physebm.schema.struct_rules import reduced, require_whole

KINDS = {
    "phase_diagram": (("x", "y", "z"), ("panel", "theory")),
    "curve": (("x", "y"), ("by", "panel", "theory")),
    "histogram": (("x",), ("by", "panel", "theory")),
    "training": (("y",), ("by", "panel", "log")),
    "spectrum": (("array",), ("panel", "log")),
    "samples": ((), ("count", "shape", "panel")),
    "features": (("array",), ("count", "shape", "panel")),
}
"""Per kind of figure the keys that it needs and those that it may have, besides `title`."""

TRAINING_KINDS = ("training", "spectrum", "samples", "features")
"""Figures of a training."""


ESTIMATOR, REWEIGHTED = "estimator", "reweighted_temperature"
"""Axes of the results of [free_energy] that no [scan] names."""

_OBSERVED = {"phase_diagram": "z", "curve": "y", "histogram": "x", "training": "y"}


class PlotDeclaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One figure of [plot].

    phase_diagram: colour `z` over axes `x` and `y`. curve: observable `y` over axis `x`, one line
    per value of `by`. histogram: distribution `x`, one line per value of `by`. training: recorded
    quantity `y` against the training age, one line per value of `by`. spectrum: singular values of
    `array` against the training age. samples: the chains at the end of the training as pictures.
    features: `array` as a picture per hidden unit.

    `panel` is an axis with one panel per value; the axis `estimator` stands for the methods of
    [free_energy] beside each other, `reweighted_temperature` for what its ladder was reweighted to;
    `theory` names the curves drawn over it; `log` makes the vertical axis logarithmic; `count`
    pictures of `shape` [rows, columns] are drawn.
    """

    kind: Literal["phase_diagram", "curve", "histogram", "training", "spectrum", "samples", "features"]
    x: str | None = None
    y: str | None = None
    z: str | None = None
    array: str | None = None
    by: str | None = None
    panel: str | None = None
    theory: str | tuple[str, ...] | None = None
    log: bool | None = None
    count: int | None = None
    shape: tuple[int, ...] | None = None
    title: str = ""

    def __post_init__(self):
        needs, may = KINDS[self.kind]
        if self.kind == "phase_diagram" and self.by is not None:
            raise Problem(".by", got=self.by, hint="a phase_diagram has panels, no lines: `panel`")
        for key in ("x", "y", "z", "array", "by", "panel", "theory", "log", "count", "shape"):
            held = getattr(self, key)
            if held is None and key in needs:
                raise Problem(expected=f"a key `{key}`, which `{self.kind}` needs")
            if held is not None and key not in needs + may:
                raise Problem(f".{key}", got=held, hint=f"`{self.kind}` has no {key}")
        require_whole(self, count=1)
        if self.shape is not None and not (len(self.shape) == 2 and min(self.shape) >= 1):
            raise Problem(".shape", got=list(self.shape), expected="[rows, columns]")
        theory = self.theory or ()
        names = (theory,) if isinstance(theory, str) else theory
        msgspec.structs.force_setattr(self, "theory", names)

    @property
    def observed(self) -> str:
        """The key that holds a quantity rather than an axis, "" where there is none."""
        return _OBSERVED.get(self.kind, "")

    @property
    def shown(self) -> tuple[str, ...]:
        """The axes that the figure shows."""
        keys = [key for key in ("x", "y", "by", "panel") if key != self.observed]
        return tuple(filter(None, (getattr(self, key) for key in keys)))

    @property
    def of_estimates(self) -> bool:
        """Whether it shows the estimates of [free_energy] beside each other, or what was reweighted."""
        return ESTIMATOR in self.shown or REWEIGHTED in self.shown

    @property
    def subject(self) -> str:
        """What the figure shows, for its file name: a quantity, or the kind and its array."""
        quantity = getattr(self, self.observed) if self.observed else None
        return quantity or "_".join(filter(None, (self.kind, self.array)))

    def __reduce__(self):
        return reduced(self)

    @property
    def unread(self) -> tuple[str, ...]:
        """Keys that this kind does not have."""
        return () if "theory" in KINDS[self.kind][1] else ("theory",)


def read_plots(raw: Mapping[str, Any], file: str) -> Iterable[PlotDeclaration]:
    """The tables of [plot]: one, or a list of them, of each kind."""
    for kind, held in raw.items():
        if kind not in KINDS:
            raise StudyFileError(f"{file}: plot", got=kind, expected=KINDS)
        for i, each in enumerate(held if isinstance(held, list) else [held]):
            where = f"{file}: plot.{kind}" + (f"[{i}]" if isinstance(held, list) else "")
            table = require_table(each, where, StudyFileError)
            if "kind" in table:
                raise StudyFileError(
                    f"{where}.kind", got=table["kind"], hint="the table's name says it"
                )
            yield convert({"kind": kind, **table}, PlotDeclaration, where, StudyFileError)
