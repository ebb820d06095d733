"""A result -> the figures of [plot] tables, with the theory curves that they name.

Everything but the tables comes from the result file: the resolved study and the text of its models
stand in ``/provenance``, so that a result is drawn the same way wherever it is. The tables are no part
of what a study computes: those of the study file as it is now may be drawn, or those that are stored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from msgspec import structs

from physebm import plots
from physebm.errors import InputError, ResultFileError, StudyFileError
from physebm.schema.convert import parse_toml
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.load import Loaded, load
from physebm.schema.model_file import read_model
from physebm.schema.plot_declarations import TRAINING_KINDS, PlotDeclaration
from physebm.schema.study_declarations import StudyDeclaration
from physebm.schema.study_file import study_from_dict
from physebm.storage.netcdf import lazily, open_summary
from physebm.study.figure_axes import check_axes
from physebm.study.figure_names import figure_names
from physebm.study.figure_points import default_plots, points_of
from physebm.study.figure_theory import TheoryOfFigures
from physebm.study.theory_curves import addresses, check_theory, theory
from physebm.study.trained_groups import TrainedGroups
from physebm.study.training_figures import training_figure

# Overlaps with a stored pattern: the scale of a phase diagram is that of retrieval, 0 to 1, or -1 to 1
# where runs end in the reversed pattern, beyond what is noise.
_FROM_ZERO_TO_ONE = ("retrieval_overlap", "max_pattern_overlap", "abs_magnetisation")
_NOISE = 0.1

MOST_ROWS, MOST_COLUMNS = 24, 12


def draw_figures(
    result_path: str | os.PathLike,
    out_dir: str | os.PathLike | None = None,
    *,
    study: StudyDeclaration | None = None,
    told: Callable[[Path], None] = lambda path: None,
) -> list[Path]:
    """Draw the figures of [plot] tables from a result; returns their paths.

    Figures are called ``RESULT_SUBJECT.png``, after the quantity or array that they show, further ones
    of the same after what they show otherwise too (``RESULT_SUBJECT_over_L.png``), and stand in
    `out_dir`, by default beside the result.
    Final states of units on a plane (``observe.states``) are drawn too, as ``RESULT_states.png``.

    Parameters
    ----------
    study
        Whose [plot] tables are drawn; None takes those that are stored in the result, and for free
        energies without any `figure_points.default_plots`, whose titles say what the study is.
    told
        Called with every file as soon as it is written.

    Raises
    ------
    ResultFileError
        for a file that is no result of a study.
    InputError
        for tables whose figure could not be drawn, once all others are.
    """
    path = Path(result_path)
    folder = path.parent if out_dir is None else Path(out_dir)
    drawn = Drawn(path)
    if study is not None:
        drawn.study = structs.replace(drawn.study, plots=study.plots, where=study.where)
    elif not drawn.study.plots:
        drawn.study = structs.replace(drawn.study, plots=default_plots(drawn.study))
    names = figure_names(drawn.study.plots)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    problems: list[InputError] = []

    def save(figure: Figure, name: str) -> None:
        for file in plots.save(figure, folder / f"{name}.png"):
            written.append(file)
            told(file)

    for (where, plot), name in zip(addresses(drawn.study), names):
        try:
            check_axes(plot, drawn.study, where)
            check_theory(plot, where)
            figure = drawn.figure(plot, where)
        except InputError as problem:
            problems.append(_addressed(problem, where))
            continue
        plots.entitled(figure, plot.title)
        save(figure, f"{path.stem}_{name}")
    pictures = drawn.pictures()
    if pictures is not None:
        save(pictures, f"{path.stem}_states")
    if len(problems) > 1:
        texts = "\n".join(map(str, problems))
        raise StudyFileError(f"{len(problems)} figures could not be drawn\n{texts}")
    if problems:
        raise problems[0]
    return written


def _addressed(problem: InputError, where: str) -> InputError:
    """The problem of a figure with the study file and the table that asks for it."""
    if problem.where.startswith(where):
        return problem
    at = f"{where}: {problem.where.removeprefix('plot: ')}"
    return type(problem)(at, got=problem.got, expected=problem.expected, hint=problem.hint)


class Drawn:
    """A result with the study and the models that it came from."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.summary = open_summary(self.path)
        self._models: dict[tuple, Loaded] = {}

    @cached_property
    def _provenance(self) -> xr.Dataset:
        with lazily(self.path, "provenance") as record:
            record.load()
        for name in ("resolved_study", "models_text"):
            if name not in record:
                there = [str(known) for known in record.data_vars]
                raise ResultFileError(f"{self.path}: /provenance", got=name, expected=there)
        return record

    @cached_property
    def study(self) -> StudyDeclaration:
        """The study, with every default and override resolved."""
        raw = json.loads(str(self._provenance["resolved_study"].item()))
        return study_from_dict(raw, name=f"study of {self.path}")

    @cached_property
    def declared(self) -> dict[str, ModelDeclaration]:
        """The models of the study, by name."""
        if self.study.inline is not None:
            return {self.study.models[0]: self.study.inline}
        where = f"{self.path.name}: models_text"
        tables = parse_toml(str(self._provenance["models_text"].item()), where, ResultFileError)
        return {name: read_model(name, table, f"{where}: {name}") for name, table in tables.items()}

    @cached_property
    def _theory(self) -> TheoryOfFigures:
        return TheoryOfFigures(self.study, self.summary, self.model)

    def model(self, at: Mapping[str, Any]) -> Loaded:
        """The model at one point; axes that are not in `at` stand at their first value."""
        point = {axis.name: axis.values[0] for axis in self.study.scan} | dict(at)
        parameters = self.study.parameters_at(point)
        name = str(point.get("model", self.study.models[0]))
        key = (name, *((held, expression.text) for held, expression in parameters.items()))
        if key not in self._models:
            self._models[key] = load(self.declared[name], parameters)
        return self._models[key]

    def figure(self, plot: PlotDeclaration, where: str) -> Figure:
        """One figure of [plot]."""
        if plot.kind in TRAINING_KINDS:
            return training_figure(TrainedGroups(self.path, self.model), plot, where)
        ds = points_of(self.path, self.summary, plot)
        match plot.kind:
            case "phase_diagram":
                lines = [
                    line for name in plot.theory for line in self._theory.boundaries(plot, name, where)
                ]
                return plots.phase_diagram(
                    ds, plot.x, plot.y, plot.z, lines, panel=plot.panel, **_scale(ds[str(plot.z)])
                )
            case "curve":
                label = ", ".join(theory(name, where).label for name in plot.theory)
                return plots.curve(
                    ds,
                    plot.x,
                    plot.y,
                    plot.by,
                    lambda part: self._theory.curves(plot, part, where),
                    panel=plot.panel,
                    theory_label=label,
                )
            case _:
                return plots.histogram(ds, plot.x, plot.by, panel=plot.panel)

    def pictures(self) -> Figure | None:
        """Final states as pictures, a row per point and a column per chain; None without any.

        Up to `MOST_ROWS` points and `MOST_COLUMNS` chains are shown.
        """
        if not self.study.observe.states:
            return None
        group = self.model({}).hamiltonian.counted[0]
        with lazily(self.path, "states") as held:
            states = held[group.name].load()
        if len(group.shape) != 2 or np.prod(states.shape[:-2], dtype=int) > MOST_ROWS:
            return None
        axes = [str(dim) for dim in states.dims[:-2]]
        rows = [
            ", ".join(_called(name, self.summary[name].values[i]) for name, i in zip(axes, place))
            for place in np.ndindex(*states.shape[:-2])
        ]
        cells = states.values.reshape(-1, *states.shape[-2:])[:, :MOST_COLUMNS]
        return plots.images(cells, group.shape, row_titles=rows if axes else None)


def _scale(shown: xr.DataArray) -> dict[str, Any]:
    """Limits and colours of an overlap in a phase diagram; none for anything else."""
    if shown.name not in _FROM_ZERO_TO_ONE:
        return {}
    least = shown.mean([dim for dim in shown.dims if dim == "disorder"]).min()
    return {"limits": (-1.0, 1.0), "cmap": "PRGn"} if least < -_NOISE else {"limits": (0.0, 1.0)}


def _called(name: str, value: Any) -> str:
    """A point in a row's title; texts speak for themselves."""
    return str(value) if isinstance(value, str) else f"{name} = {value:.4g}"
