"""[plot]: the figures of a study, each a table named by its kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from physebm.errors import StudyFileError
from physebm.schema.convert import Problem, convert, require_table

KINDS = ("phase_diagram", "curve", "histogram")


class PlotDeclaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One figure of [plot].

    phase_diagram: colour `z` over axes `x` and `y`. curve: observable `y` over axis `x`, one line
    per value of `by`. histogram: distribution `x`, one line per value of `by`. `panel` is an axis
    with one panel per value; `theory` names the curves drawn over it.
    """

    kind: Literal["phase_diagram", "curve", "histogram"]
    x: str
    y: str | None = None
    z: str | None = None
    by: str | None = None
    panel: str | None = None
    theory: str | tuple[str, ...] = ()
    title: str = ""

    def __post_init__(self):
        needs = {"phase_diagram": ("y", "z"), "curve": ("y",), "histogram": ()}[self.kind]
        for key in ("y", "z"):
            held = getattr(self, key)
            if held is None and key in needs:
                raise Problem(expected=f"a key `{key}`, which a {self.kind} needs")
            if held is not None and key not in needs:
                raise Problem(f".{key}", got=held, hint=f"a {self.kind} has no {key}")
        if self.kind == "phase_diagram" and self.by is not None:
            raise Problem(".by", got=self.by, hint="a phase_diagram has panels, no lines: `panel`")
        if isinstance(self.theory, str):
            msgspec.structs.force_setattr(self, "theory", (self.theory,))


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
