"""Which points a figure shows: those of the summary, or all estimates of [free_energy].

A figure with the axis `estimator` shows the group ``/free_energies``, one with `reweighted_temperature`
the averages that were reweighted to temperatures inside the ladder; all others show the summary.
"""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from physebm.schema.plot_declarations import ESTIMATOR, REWEIGHTED, PlotDeclaration
from physebm.schema.study_declarations import StudyDeclaration
from physebm.storage.free_energy import ROWS, free_energy_axes
from physebm.storage.netcdf import open_group
from physebm.storage.reweighted import PREFIX

GROUP = "free_energies"


def points_of(path: Path, summary: xr.Dataset, plot: PlotDeclaration) -> xr.Dataset:
    """The dataset that a figure of the grid is drawn from.

    Raises
    ------
    ResultFileError
        for a result without free energies.
    """
    if not plot.of_estimates:
        return summary
    group = open_group(path, GROUP)
    if REWEIGHTED not in plot.shown:
        names = [n for n in group.data_vars if str(n).removesuffix("_stderr") in (*ROWS, "verdict")]
        return group[names]
    names = {str(n): str(n).removeprefix(PREFIX) for n in group.data_vars if str(n).startswith(PREFIX)}
    found = group[list(names)].rename(names)
    for name in found.data_vars:
        found[name].attrs["method"] = "reweighted"
    return found


def default_plots(study: StudyDeclaration) -> tuple[PlotDeclaration, ...]:
    """The figures of a study with free energies that declares none.

    Every estimator's free energy and entropy over the temperature or the first
    scanned number; log Z over the estimators where nothing is scanned. What was reweighted stands over
    its temperatures. One more axis may make panels, `disorder` is averaged over; nothing is drawn
    where there are more. Titles say what is shown (`described`).
    """
    if study.free_energy is None:
        return ()
    axes = free_energy_axes({axis.name: axis.coordinates for axis in study.scan})
    wide = {name: held for name, held in axes.items() if name != "disorder" and len(held) > 1}
    numbers = [name for name, held in wide.items() if not any(isinstance(x, str) for x in held)]
    over = "temperature" if "temperature" in numbers else next(iter(numbers), ESTIMATOR)
    plots, title = [], described(study)
    panels = [name for name in wide if name != over]
    if len(panels) <= 1:
        panel = panels[0] if panels else None
        if over == ESTIMATOR:
            plots.append(PlotDeclaration(kind="curve", x=over, y="log_z", panel=panel, title=title))
        else:
            shown = {"x": over, "by": ESTIMATOR, "panel": panel, "title": title}
            plots += [PlotDeclaration(kind="curve", y=y, **shown) for y in ("free_energy", "entropy")]
    panels = [name for name in wide if name != "temperature"]
    asked = study.free_energy.reweight
    if asked is not None and len(panels) <= 1:
        panel = panels[0] if panels else None
        plots += [
            PlotDeclaration(kind="curve", x=REWEIGHTED, y=name, panel=panel, title=title)
            for name in asked.observables
        ]
    return tuple(plots)


def described(study: StudyDeclaration) -> str:
    """What a figure is of: the title of the study; its models, parameters and disorder samples."""
    numbers = [f"{name} = {value.text}" for name, value in study.set.items()]
    if study.temperature is not None:
        numbers.append(f"T = {study.temperature.text}")
    samples = study.axis("disorder")
    if samples is not None and len(samples.coordinates) > 1:
        numbers.append(f"{len(samples.coordinates)} disorder samples")
    return "\n".join(filter(None, (study.title, ", ".join([*study.models, *numbers]))))
