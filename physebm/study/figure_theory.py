"""The theory lines of a figure: every curve at the parameters of its own points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from physebm.errors import StudyFileError
from physebm.schema.load import Loaded
from physebm.schema.plot_declarations import ESTIMATOR, REWEIGHTED, PlotDeclaration
from physebm.schema.study_declarations import StudyDeclaration
from physebm.study.hopfield_curves import load_of
from physebm.study.theory_curves import Theory, check_applies, theory


class TheoryOfFigures:
    """The theories that the figures of one result name.

    Parameters
    ----------
    study, summary
        Of the result.
    model
        ``{axis: value} -> Loaded``, the model at one point.
    """

    def __init__(
        self,
        study: StudyDeclaration,
        summary: xr.Dataset,
        model: Callable[[Mapping[str, Any]], Loaded],
    ):
        self.study, self.summary, self.model = study, summary, model
        # smooth lines are the same in every panel; `model` keeps the models of their keys alive
        self._smooth: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}

    def boundaries(self, plot: PlotDeclaration, name: str, where: str) -> list[tuple]:
        """Lines over a scanned load and temperature, each column at its realised load P/N."""
        known = theory(name, where)
        check_applies(name, plot, self.model({}), where)
        if "temperature" not in (plot.x, plot.y):
            hint = f"`{name}` draws lines in a plane of temperature"
            raise StudyFileError(f"{where}.y", got=plot.y, expected="temperature", hint=hint)
        other = plot.x if plot.y == "temperature" else plot.y
        shown = self.summary[other].values.astype(float)
        order = np.argsort(shown)
        loads = np.array([load_of(self.model({other: value})) for value in shown[order]])
        if np.any(np.diff(loads) <= 0):
            hint = f"`{name}` needs an axis along which the load P/N grows"
            raise StudyFileError(f"{where}.x", got=other, hint=hint)
        # From realised loads back to the axis; straight on beyond its ends.
        steps = np.diff(shown[order]) / np.diff(loads) if len(loads) > 1 else np.ones(1)
        ends = np.array([0.0, 2.0 * loads[-1] + 1e-3])
        beyond = shown[order][[0, -1]] + steps[[0, -1]] * (ends - loads[[0, -1]])
        places = np.concatenate([beyond[:1], shown[order], beyond[1:]])
        realised = np.concatenate([ends[:1], loads, ends[1:]])
        found = []
        for label, load_line, temperatures in known.boundaries(2.0 * loads[-1]):
            across = np.interp(load_line, realised, places)
            pair = (across, temperatures) if plot.y == "temperature" else (temperatures, across)
            found.append((label, *pair))
        return found

    def curves(self, plot: PlotDeclaration, part: xr.Dataset, where: str) -> Any:
        """Theory of one panel: a line per value of `by`, or one line where they are all the same."""
        fixed = {name: part[name].item() for name in part.coords if part[name].ndim == 0}
        fixed = {name: held for name, held in fixed.items() if self.study.axis(name)}
        scanned = plot.by is not None and self.study.axis(plot.by)
        groups = list(part[plot.by].values) if scanned else [None]
        keyed: dict[Any, Any] = {}
        black: list[tuple] = []
        for name in plot.theory:
            known = theory(name, where)
            lines = []
            for value in groups:
                at = fixed if value is None else fixed | {plot.by: value.item()}
                lines.append(self._line(plot, known, name, at, part, where))
            if all(_same(line, lines[0]) for line in lines):
                black.append((known.label, *lines[0]))
            else:
                keyed |= {value.item(): line for value, line in zip(groups, lines)}
        return {**keyed, None: black} if keyed else black

    def _line(self, plot, known: Theory, name: str, at, part: xr.Dataset, where: str):
        values = known.values[plot.y]
        xs = part[plot.x].values
        if plot.x == ESTIMATOR:
            model = self.model(at)
            check_applies(name, plot, model, where)
            value = values(model, np.array([self._temperature(at, model, part)]))
            return np.array([-0.4, len(xs) - 0.6]), np.repeat(value, 2)
        if plot.x in ("temperature", REWEIGHTED):
            model = self.model(at)
            check_applies(name, plot, model, where)
            key = (name, plot.y, id(model), float(xs.min()), float(xs.max()))
            if key not in self._smooth:
                temperatures = known.temperatures(model, *key[-2:])
                self._smooth[key] = temperatures, values(model, temperatures)
            return self._smooth[key]
        found = []
        for x in xs:
            point = {**at, plot.x: x.item()}
            model = self.model(point)
            check_applies(name, plot, model, where)
            temperature = self._temperature(point, model, part)
            found.append(float(values(model, np.array([temperature]))[0]))
        return xs.astype(float), np.array(found)

    def _temperature(self, at: Mapping[str, Any], model: Loaded, part: xr.Dataset) -> float:
        if self.study.temperature is None and "temperature" not in at:
            return float(np.ravel(part["temperature"].values)[0])
        return self.study.temperature_at(at, model.env)


def _same(one: tuple, other: tuple) -> bool:
    return all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True)
        for a, b in zip(one, other)
    )
