"""Figures of free energies: a curve per estimator, theory on top, and what is drawn unasked."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from study_files import write

from physebm import open_tree, plots
from physebm.cli import main
from physebm.errors import InputError, StudyFileError
from physebm.schema.plot_declarations import PlotDeclaration
from physebm.schema.study_file import study_from_text
from physebm.study.figure_checks import check_figures
from physebm.study.figure_names import figure_names
from physebm.study.figure_points import default_plots
from physebm.study.figures import Drawn, draw_figures
from physebm.study.grid import expand
from physebm.study.models import models_of
from physebm.study.theory_curves import addresses
from physebm.theory import curie_weiss

MODELS = Path(__file__).parents[2] / "models.toml"
STUDY = f"""
models = "{MODELS}"
model = "curie_weiss"
seed = 5
[set]
N = 12
[scan]
temperature = [0.7, 1.0, 1.5]
[free_energy]
method = ["bar", "exact", "mean-field"]
ladder = {{ chains = 4, sweeps = 400, discard = 50 }}
reweight = {{ temperature = [0.8, 1.2], observables = ["abs_magnetisation"] }}
"""
PLOTS = """
[[plot.curve]]
x = "temperature"
y = "free_energy"
by = "estimator"
theory = "curie-weiss"
[[plot.curve]]
x = "temperature"
y = "entropy"
panel = "estimator"
theory = ["curie-weiss", "exact"]
[[plot.curve]]
x = "estimator"
y = "log_z"
panel = "temperature"
theory = "curie-weiss"
[[plot.curve]]
x = "reweighted_temperature"
y = "abs_magnetisation"
theory = "curie-weiss"
"""


def run(*words):
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    status, message = run("run", write(folder, STUDY + PLOTS), "--out", folder / "cw.nc")
    assert status == 0, message
    assert message.count("figure ") == 4, message
    return folder / "cw.nc"


def figures(result):
    drawn = Drawn(result)
    return [drawn.figure(plot, where) for where, plot in addresses(drawn.study)]


def points(ax):
    """Markers with error bars by their colour, ``{colour: (x, y, error)}``."""
    found = {}
    for each in ax.containers:
        line, _, bars = each.lines
        sizes = (
            [np.ptp(np.array(s)[:, 1]) / 2 for s in bars[0].get_segments() if len(s)] if bars else []
        )
        x, y = line.get_data()
        found.setdefault(line.get_color(), []).append((np.array(x), np.array(y), np.array(sizes)))
    return found


def test_a_curve_per_estimator_with_its_errors_and_one_line_of_theory(result):
    ds = open_tree(result)["free_energies"].to_dataset()
    fig = figures(result)[0]
    (ax,) = fig.axes
    drawn = points(ax)
    assert len(drawn) == 3
    at = ds["temperature"].values
    for method, parts in zip(("bar", "exact", "mean-field"), drawn.values()):
        x = np.concatenate([part[0] for part in parts])
        y = np.concatenate([part[1] for part in parts])[np.argsort(x)]
        here = ds.sel(estimator=method)
        assert y == pytest.approx(here["free_energy"].values)
        assert sorted(x) == at.tolist()
        if method == "bar":
            errors = np.sort(np.concatenate([part[2] for part in parts]))
            assert errors == pytest.approx(np.sort(here["free_energy_stderr"].values), rel=1e-6)
    black = [line for line in ax.get_lines() if line.get_color() == "black"]
    assert len(black) == 1
    T, f = black[0].get_data()
    assert f == pytest.approx(curie_weiss.free_energy(1 / T, 12))
    words = [text.get_text() for legend in fig.legends for text in legend.get_texts()]
    assert {"bar", "exact", "mean-field"} <= set(words)
    # the approximation is suspect by its own verdict, and the figure says so
    assert any("approximation" in word for word in words)


def test_panels_of_estimators_and_estimators_along_the_axis(result):
    entropy, along = figures(result)[1:3]
    assert [ax.get_title().split()[-1] for ax in entropy.axes] == ["bar", "exact", "mean-field"]
    for ax in entropy.axes:
        lines = [line for line in ax.get_lines() if line.get_color() == "black"]
        assert len(lines) == 2
        T, s = lines[0].get_data()
        assert s == pytest.approx(curie_weiss.entropy(1 / T, 12))
        assert np.interp(1.1, *lines[1].get_data()) == pytest.approx(np.interp(1.1, T, s), abs=1e-3)
    assert len(along.axes) == 3
    for ax, T in zip(along.axes, (0.7, 1.0, 1.5)):
        assert [text.get_text() for text in ax.get_xticklabels()] == ["bar", "exact", "mean-field"]
        (line,) = [line for line in ax.get_lines() if line.get_color() == "black"]
        x, y = line.get_data()
        assert x[0] < 0 and x[-1] > 2 and y == pytest.approx(curie_weiss.log_z(1 / T, 12))


def test_what_was_reweighted_stands_over_its_temperatures_beside_the_theory(result):
    (ax,) = figures(result)[3].axes
    ds = open_tree(result)["free_energies"].to_dataset()
    ((x, y, _),) = next(iter(points(ax).values()))
    assert x == pytest.approx([0.8, 1.2])
    assert y == pytest.approx(ds["reweighted_abs_magnetisation"].values)
    (line,) = [line for line in ax.get_lines() if line.get_color() == "black"]
    T, m = line.get_data()
    assert m == pytest.approx(curie_weiss.abs_magnetisation(1 / T, 12))


def test_looks_say_which_estimates_are_worth_what(result):
    ds = open_tree(result)["free_energies"].to_dataset()
    ds = ds[["entropy", "entropy_stderr", "verdict"]].load()
    ds["verdict"].loc[{"estimator": "bar"}] = 2
    ds["entropy"].loc[{"estimator": "exact"}] = np.nan
    fig = plots.curve(ds, "temperature", "entropy", by="estimator")
    failed, approximate = fig.axes[0].containers
    assert failed.lines[0].get_marker() == "x" and not failed.has_yerr
    assert approximate.lines[0].get_markerfacecolor() == "white"
    words = [text.get_text() for legend in fig.legends for text in legend.get_texts()]
    assert words[:3] == ["bar", "exact (no value)", "mean-field"]
    assert any("failed" in word for word in words)


def test_unasked_figures_say_what_they_are_of_and_the_method_behind_points(result):
    study = Drawn(result).study
    (title,) = {plot.title for plot in default_plots(study)}
    assert title.endswith("curie_weiss, N = 12")
    drawn = Drawn(result)
    for x, method in (("temperature", "bar"), ("reweighted_temperature", "reweighted")):
        y = "free_energy" if x == "temperature" else "abs_magnetisation"
        fig = drawn.figure(PlotDeclaration(kind="curve", x=x, y=y), "plot")
        (legend,) = fig.legends[:1]
        assert [text.get_text() for text in legend.get_texts()] == [method]


def test_names_of_figures_say_what_differs():
    shown = [
        {"x": "T", "y": "energy", "by": "L"},
        {"x": "L", "y": "energy", "panel": "T"},
        {"x": "T", "y": "energy", "by": "h"},
        {"x": "T", "y": "energy", "by": "L", "panel": "start"},
        {"x": "T", "y": "energy", "by": "L"},
        {"x": "T", "y": "entropy"},
    ]
    figures = [PlotDeclaration(kind="curve", **keys) for keys in shown]
    figures.append(PlotDeclaration(kind="phase_diagram", x="T", y="h", z="energy"))
    assert figure_names(figures) == [
        "energy",
        "energy_over_L",
        "energy_by_h",
        "energy_panels_start",
        "energy_2",
        "entropy",
        "energy_phase_diagram",
    ]


@pytest.mark.parametrize(
    "change, names",
    [
        ((), ["free_energy", "entropy", "abs_magnetisation"]),
        (('free_energy.method=["ais", "mean-field"]',), ["free_energy", "entropy"]),
        (("temperature=0.9",), ["log_z", "abs_magnetisation"]),
        (("scan.h=[0.0, 0.1]",), ["free_energy", "entropy", "abs_magnetisation"]),
        (("temperature=0.9", "scan.h=[0.0, 0.1]"), ["free_energy", "entropy", "abs_magnetisation"]),
        (("scan.h=[0.0, 0.1]", "scan.J=[1.0, 1.1]"), []),
    ],
)
def test_a_result_without_tables_is_drawn_by_estimator(tmp_path, change, names):
    text = STUDY.replace("[0.8, 1.2]", "[1.0, 1.2]").replace("sweeps = 400", "sweeps = 320")
    words = [word for each in change for word in ("--set", each)]
    words += (
        ["--set", "free_energy.annealing.chains=20"] if any("ais" in each for each in change) else []
    )
    status, message = run("run", write(tmp_path, text), "--out", tmp_path / "cw.nc", *words)
    assert status == 0 and "figure " not in message, message
    if names:
        drawn = draw_figures(tmp_path / "cw.nc")
        assert [path.stem.removeprefix("cw_") for path in drawn] == names
    else:
        status, message = run("plot", tmp_path / "cw.nc")
        assert status == 2 and "no figure is asked for" in message, message


@pytest.mark.parametrize(
    "plot, words",
    [
        ('curve = { x = "temperature", y = "energi", by = "estimator" }', "did you mean energy"),
        ('curve = { x = "temperature", y = "verdict", by = "estimator" }', "log_z_low"),
        ('curve = { x = "temperature", y = "log_likelihood_test", by = "estimator" }', "log_z"),
        ('curve = { x = "reweighted_temperature", y = "energy" }', "abs_magnetisation"),
        (
            'curve = { x = "reweighted_temperature", y = "abs_magnetisation", by = "temperature" }',
            "does not depend",
        ),
        ('histogram = { x = "overlap_distribution", by = "estimator" }', "no estimators"),
        ('curve = { x = "temperature", y = "log_z", by = "estimators" }', "did you mean estimator"),
    ],
)
def test_mistakes_in_figures_of_estimators_are_refused_before_anything_runs(plot, words):
    with pytest.raises(InputError, match=words):
        study = study_from_text(f"{STUDY}[plot]\n{plot}\n")
        check_figures(study, expand(study, models_of(MODELS)))


def test_estimators_need_a_table_of_free_energies():
    text = STUDY[: STUDY.index("[free_energy]")]
    text += '[plot]\ncurve = { x = "temperature", y = "energy", by = "estimator" }\n'
    with pytest.raises(StudyFileError, match="it comes from a table"):
        study_from_text(text)
