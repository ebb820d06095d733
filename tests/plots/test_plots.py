import subprocess
import sys

import numpy as np
import pytest
from matplotlib.image import imread

from physebm import plots
from physebm.errors import InputError
from physebm.observables.equilibration import verdict
from physebm.storage.dataset import series_dataset, summary_dataset
from physebm.storage.points import (
    bad_points,
    metastable_points,
    point_values,
    select_points,
    suspect_points,
)
from physebm.storage.training import final_dataset, training_dataset

TEMPERATURES = np.array([0.5, 1.0, 1.5, 2.0])
AXES = {
    "alpha": [0.05, 0.1, 0.15],
    "start": ["pattern", "random"],
    "disorder": [0, 1, 2],
    "temperature": TEMPERATURES,
}
GRID = (3, 2, 3, 4)


@pytest.fixture
def summary():
    values = np.random.Generator(np.random.PCG64(3)).random(GRID)
    status, verdict = np.zeros(GRID, dtype=int), np.zeros(GRID, dtype=int)
    status[0, 0, 1, 0] = 1
    values[0, 0, 1, 0] = np.nan
    status[1, :, :, 1] = 1
    values[1, :, :, 1] = np.nan
    verdict[2, 0, 2, 3] = 2
    verdict[2, 0, 0, 0] = 1
    return summary_dataset(
        AXES,
        {
            "retrieval_overlap": (values, np.full(GRID, 0.01), np.ones(GRID)),
            "overlap_distribution": (np.full((*GRID, 5), 0.2), None, None),
        },
        status=status,
        equilibration=verdict,
        coords={"overlap": np.linspace(-1, 1, 5)},
    )


def texts_of_legends(fig):
    return [text.get_text() for legend in fig.legends for text in legend.get_texts()]


def test_a_point_is_the_mean_over_done_samples_with_their_standard_error(summary):
    part = select_points(summary, {"start": "pattern"})
    value, error = point_values(part, "retrieval_overlap", ("temperature", "alpha"))
    assert value.dims == error.dims == ("temperature", "alpha")
    raw = summary["retrieval_overlap"].values[:, 0]
    two = raw[0, [0, 2], 0]
    assert value.values[0, 0] == pytest.approx(two.mean(), rel=1e-14)
    assert error.values[0, 0] == pytest.approx(abs(two[0] - two[1]) / 2, rel=1e-13)
    three = raw[2, :, 1]
    assert error.values[1, 2] == pytest.approx(three.std(ddof=1) / np.sqrt(3), rel=1e-13)
    assert np.isnan(value.values[1, 1])


def test_one_sample_keeps_its_stored_error(summary):
    part = select_points(summary.isel(disorder=[2]), {"start": "pattern", "alpha": 0.15})
    _, error = point_values(part, "retrieval_overlap", ("temperature",))
    np.testing.assert_array_equal(error, 0.01)


def test_bad_points_are_the_failed_and_the_not_equilibrated_but_not_the_suspect(summary):
    part = select_points(summary, {"start": "pattern"})
    bad = bad_points(part, "retrieval_overlap", ("alpha", "temperature"))
    expected = np.zeros((3, 4), dtype=bool)
    expected[0, 0] = expected[1, 1] = expected[2, 3] = True
    np.testing.assert_array_equal(bad, expected)


def test_stationary_runs_that_disagree_are_metastable_and_runs_that_drift_are_bad(summary):
    random = np.random.Generator(np.random.PCG64(1))
    noise = random.normal(size=(3, 2, 2, 640))
    apart = noise + np.array([0.0, 5.0])[:, None, None]
    drifting = noise + np.linspace(0.0, 5.0, 640)
    kinds = [verdict(x[:, 0], x[:, 1]) for x in (noise, apart, drifting)]
    part = summary.isel(start=0, alpha=0)
    code = np.stack([kind.code for kind in kinds], axis=1)
    message = np.stack([kind.message for kind in kinds], axis=1)
    part = part.isel(temperature=slice(3)).drop_vars(["status", "message"])
    part["equilibration"] = (("disorder", "temperature"), code)
    part["equilibration_message"] = (("disorder", "temperature"), message)
    shown = "retrieval_overlap", ("temperature",)
    assert metastable_points(part, *shown).values.tolist() == [False, True, False]
    assert bad_points(part, *shown).values.tolist() == [False, False, True]


def trained(**values):
    """Two trainings, the second with chains out of equilibrium, and a sampling that disagrees."""
    axes = {"learning_rate": [0.1, 0.2]}
    histories = {name: np.array(held, float)[:, None] for name, held in values.items()}
    histories["chain_verdict"] = np.array([[0], [2]])
    final = final_dataset(axes, training_dataset(axes, [10], histories))
    sampled = summary_dataset(
        axes,
        {"energy": (np.zeros(2), np.ones(2), np.ones(2))},
        equilibration=np.array([2, 2]),
        equilibration_messages=np.array(["the two starts disagree"] * 2, object),
    )
    return sampled.merge(final)


def test_what_a_training_recorded_is_judged_by_its_chains_and_not_by_the_sampling_after_it():
    ds = trained(log_likelihood_test=[-3.0, -2.0], moment2_rms=[0.1, 0.2])
    assert metastable_points(ds, "energy", ("learning_rate",)).values.tolist() == [True, True]
    for name, expected in (("log_likelihood_test", [False, False]), ("moment2_rms", [False, True])):
        assert not metastable_points(ds, name, ("learning_rate",)).any()
        assert bad_points(ds, name, ("learning_rate",)).values.tolist() == expected
    assert texts_of_legends(plots.curve(ds, "learning_rate", "log_likelihood_test")) == []
    chains = plots.curve(ds, "learning_rate", "moment2_rms")
    assert texts_of_legends(chains) == ["chains of the training out of equilibrium"]
    assert "starts or chains" in texts_of_legends(plots.curve(ds, "learning_rate", "energy"))[0]


def test_a_legend_names_only_what_is_drawn_and_texts_speak_for_themselves(summary):
    part = summary.isel(disorder=0, alpha=0)
    fig = plots.curve(part, "temperature", "retrieval_overlap", by="start")
    assert texts_of_legends(fig) == ["pattern", "random"]  # a point that failed has no marker
    absent = part.copy(deep=True)
    absent["retrieval_overlap"][0] = np.nan
    fig = plots.curve(absent, "temperature", "retrieval_overlap", by="start", theory=[("T", np.cos)])
    assert sorted(texts_of_legends(fig)) == ["T", "random"]


def test_an_axis_that_is_neither_shown_nor_selected_is_refused(summary):
    with pytest.raises(InputError, match=r"also depends on start[\s\S]*select = { start"):
        plots.curve(summary, "temperature", "retrieval_overlap", by="alpha")
    with pytest.raises(InputError, match="did you mean pattern"):
        select_points(summary, {"start": "patern"})
    with pytest.raises(InputError, match="did you mean retrieval_overlap"):
        plots.phase_diagram(summary.isel(start=0), "alpha", "temperature", "retrieval_overlaps")


@pytest.mark.filterwarnings("error")
def test_a_phase_diagram_has_labels_lines_crosses_and_a_panel_per_start(summary):
    lines = [("$T_g$", lambda alpha: 1 + np.sqrt(alpha)), ("$T_M$", [0.05, 0.15], [0.9, 0.5])]
    fig = plots.phase_diagram(summary, "alpha", "temperature", "retrieval_overlap", lines)
    left, right, bar = fig.axes
    assert left.get_xlabel() == "load $\\alpha$" and left.get_ylabel() == "temperature $T$"
    assert bar.get_ylabel() == "retrieval overlap $m$"
    assert [ax.get_title() for ax in (left, right)] == [
        "initial state: pattern",
        "initial state: random",
    ]
    crosses, dash, curve, straight = left.get_lines()
    assert crosses.get_xydata().tolist() == [[0.05, 0.5], [0.1, 1.0], [0.15, 2.0]]
    np.testing.assert_allclose(curve.get_ydata(), 1 + np.sqrt(curve.get_xdata()), rtol=1e-15)
    assert straight.get_xydata().tolist() == [[0.05, 0.9], [0.15, 0.5]]
    assert dash.get_xydata().tolist() == [[0.15, 0.5]]
    assert crosses.get_zorder() > max(curve.get_zorder(), straight.get_zorder())
    assert texts_of_legends(fig) == [
        "$T_g$",
        "$T_M$",
        "failed or still drifting",
        "suspect: may not be in equilibrium",
        "mean of 3 samples of disorder (at some points 2)",
    ]
    assert fig.get_figwidth() == 7.0
    mesh = left.collections[0]
    assert mesh.get_array().mask[1, 1] and mesh.get_array().shape == (4, 3)
    np.testing.assert_allclose(left.get_xlim(), (0.025, 0.175), rtol=1e-13)


def test_curves_have_the_stored_errors_and_crosses_where_not_equilibrated(summary):
    part = summary.isel(disorder=[2], start=[0])
    fig = plots.curve(part, "temperature", "retrieval_overlap", by="alpha", theory={0.05: np.cos})
    (ax,) = fig.axes
    assert ax.get_ylabel() == "retrieval overlap $m$" and fig.get_figwidth() == 3.4
    last_good, last_bad = ax.containers[-2:]
    assert last_bad.lines[0].get_xdata().tolist() == [2.0]
    assert last_bad.lines[0].get_marker() == "x" and not last_bad.has_yerr
    assert last_good.lines[0].get_xdata().tolist() == [0.5, 1.0, 1.5]
    (segments,) = last_good.lines[2]
    lengths = [np.ptp(segment[:, 1]) for segment in segments.get_segments()]
    np.testing.assert_allclose(lengths, 0.02, rtol=1e-12)
    named = {"$\\alpha$ = 0.05", "$\\alpha$ = 0.1", "$\\alpha$ = 0.15", "theory"}
    assert set(texts_of_legends(fig)) - {""} == {*named, "failed or still drifting"}
    theory = ax.get_lines()[0]
    np.testing.assert_array_equal(theory.get_ydata(), np.cos(theory.get_xdata()))


def test_stationary_runs_that_disagree_are_open_and_hide_their_own_error_bars(summary):
    part = summary.isel(disorder=2, start=0, alpha=0)
    part["equilibration"] = part["equilibration"] * 0 + 2
    part["equilibration_message"] = ("temperature", ["the two starts disagree"] * 4)
    fig = plots.curve(part, "temperature", "retrieval_overlap")
    (points,) = fig.axes[0].containers
    assert points.lines[0].get_markerfacecolor() == "white" and points.has_yerr
    assert texts_of_legends(fig) == ["stationary, but starts or chains disagree"]


def test_suspect_points_are_half_open_and_dashes_and_the_legend_says_so(summary):
    part = summary.isel(disorder=0, start=0)
    fig = plots.curve(part.isel(alpha=2), "temperature", "retrieval_overlap")
    sound, suspect = fig.axes[0].containers
    assert suspect.lines[0].get_xdata().tolist() == [0.5] and suspect.has_yerr
    assert suspect.lines[0].get_fillstyle() == "bottom" and sound.lines[0].get_fillstyle() == "full"
    assert texts_of_legends(fig) == ["suspect: may not be in equilibrium"]
    fig = plots.phase_diagram(part, "alpha", "temperature", "retrieval_overlap")
    dash = fig.axes[0].get_lines()[-1]
    assert dash.get_marker() == "_" and dash.get_xydata().tolist() == [[0.15, 0.5]]
    assert texts_of_legends(fig)[-1] == "suspect: may not be in equilibrium"


def test_a_mean_over_disorder_says_of_how_many_samples_it_is(summary):
    def said(**places):
        part = summary.isel(start=0, **places)
        return texts_of_legends(plots.curve(part, "temperature", "retrieval_overlap"))[-1]

    over = "mean of 3 samples of disorder{},\nbars: standard error over them"
    assert said(alpha=2) == over.format("")
    assert said(alpha=0) == over.format(" (at some points 2)")
    fig = plots.curve(summary.isel(start=0, alpha=2), "temperature", "retrieval_overlap", by="disorder")
    assert not any("mean" in text for text in texts_of_legends(fig))


def test_a_mean_over_disorder_is_suspect_from_a_tenth_of_its_samples_on():
    def over(codes, status=0):
        return summary_dataset(
            {"disorder": range(len(codes))},
            {"energy": (np.zeros(len(codes)), None, None)},
            status=np.zeros(len(codes), dtype=int) + status,
            equilibration=np.array(codes),
        )

    assert suspect_points(over([1] + [0] * 9), "energy", ()).item()
    assert not suspect_points(over([1] + [0] * 10), "energy", ()).item()
    failed = np.array([1] + [0] * 9)  # what failed was not judged
    assert not suspect_points(over([1] + [0] * 9, failed), "energy", ()).item()


def test_large_numbers_close_to_each_other_are_written_out(summary):
    part = summary.isel(disorder=0, alpha=2, start=1)[["retrieval_overlap"]]
    part = part * 1e-4 + 34.34
    fig = plots.curve(part, "temperature", "retrieval_overlap")
    fig.canvas.draw()
    ax = fig.axes[0]
    assert ax.yaxis.get_offset_text().get_text() == ""
    assert all(text.get_text().startswith("34.34") for text in ax.get_yticklabels())


def test_a_histogram_is_a_density(summary):
    fig = plots.histogram(summary, select={"start": "random", "alpha": 0.05})
    (ax,) = fig.axes
    assert ax.get_xlabel() == "replica overlap $q$" and ax.get_ylabel() == "density $P(q)$"
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), 0.2 / 0.5, rtol=1e-14)
    assert len(ax.get_lines()) == 4


def test_traces_say_which_point_they_show_and_in_what_unit():
    values = np.arange(2 * 3 * 10.0).reshape(2, 3, 10)
    ds = series_dataset({"L": [8, 16]}, {"energy": values}, np.arange(10) * 5)
    fig = plots.traces(ds, select={"L": 8})
    (ax,) = fig.axes
    assert ax.get_xlabel() == "time $t$ [sweep]" and ax.get_ylabel() == "$e$"
    np.testing.assert_array_equal(ax.get_lines()[1].get_ydata(), values[0, 1])
    assert plots.traces(ds).axes[0].get_title() == "$L$ = 16, 3 chains"


def test_pictures_show_every_state_in_its_shape():
    states = np.where(np.arange(2 * 3 * 6).reshape(2, 3, 6) % 2, 1, -1)
    fig = plots.images(states, (2, 3), column_titles=["a", "b", "c"], row_titles=["x", "y"])
    assert len(fig.axes) == 6
    np.testing.assert_array_equal(fig.axes[4].images[0].get_array(), states[1, 1].reshape(2, 3))
    assert fig.axes[2].get_title() == "c" and fig.axes[3].get_ylabel() == "y"


def test_no_text_leaves_the_figure_or_covers_another_axis(summary):
    renamed = summary.copy()
    renamed["retrieval_overlap"].attrs["long_name"] = "a name that is far too long for one line"
    fig = plots.curve(
        renamed.isel(start=0), "temperature", "retrieval_overlap", "alpha", theory=[("line", np.cos)]
    )
    fig.canvas.draw()
    box, (ax,) = fig.bbox, fig.axes
    for artist in (ax.yaxis.label, ax.xaxis.label, *fig.legends):
        extent = artist.get_window_extent()
        assert box.x0 <= extent.x0 and extent.x1 <= box.x1
        assert box.y0 <= extent.y0 and extent.y1 <= box.y1
        assert not extent.overlaps(ax.get_window_extent())


def test_equal_figures_are_equal_files_and_nothing_else_is_left(summary, tmp_path):
    def draw():
        return plots.curve(summary.isel(start=0), "temperature", "retrieval_overlap", "alpha")

    first = plots.save(draw(), tmp_path / "a", pdf=True)
    second = plots.save(draw(), tmp_path / "b.png", pdf=True)
    assert [file.name for file in first] == ["a.png", "a.pdf"]
    for one, other in zip(first, second):
        assert one.read_bytes() == other.read_bytes()
    assert len(list(tmp_path.iterdir())) == 4
    assert imread(first[0]).shape[1] == round(3.4 * 300)


def test_plots_need_neither_pyplot_nor_theory():
    code = (
        "import sys, physebm.plots; "
        "sys.exit('matplotlib.pyplot' in sys.modules or 'physebm.theory' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
