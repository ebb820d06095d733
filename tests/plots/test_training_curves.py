"""Figures of what a training records: ages on their scale, a line per value, words that differ."""

import numpy as np
import pytest
import xarray as xr

from physebm import plots
from physebm.errors import InputError
from physebm.plots.ages import age_edges, log_spaced, set_age_axis
from physebm.plots.style import new_figure
from physebm.storage.training import training_dataset

AGES = np.array([0, 1, 2, 4, 8, 16, 32, 64, 128])
METHODS = {"method": ["pcd", "exact"]}


def training(axes=METHODS, ages=AGES):
    grid = tuple(len(values) for values in axes.values())
    rise = -10 + np.log1p(ages) * np.ones((*grid, 1))
    modes = np.sqrt(1.0 + ages[:, None]) / (1 + np.arange(12)) * np.ones((*grid, 1, 1))
    histories = {
        "log_likelihood_train": rise,
        "log_likelihood_test": rise - 0.5,
        "pseudo_log_likelihood_train": rise,
        "pseudo_log_likelihood_train_stderr": np.full(rise.shape, 0.25),
        "chain_verdict": np.broadcast_to(np.where(ages < 10, 1.0, 2.0), rise.shape).copy(),
        "singular_values_W": modes,
    }
    return training_dataset(axes, ages, histories)


def names(fig):
    return [text.get_text() for legend in fig.legends for text in legend.get_texts()]


def joined(ax):
    """The lines through points of a panel, without caps and bars."""
    return [container.lines[0] for container in ax.containers]


@pytest.mark.parametrize(
    "ages, expected",
    [
        (AGES, True),
        (np.unique(np.round(np.geomspace(1, 5000, 40))), True),
        (np.arange(0, 1001, 25), False),
        (np.array([0, 1]), False),
        (np.array([0, 3, 5, 9, 20]), False),
    ],
)
def test_ages_are_logarithmic_where_they_grow_by_factors(ages, expected):
    assert log_spaced(ages) is expected


@pytest.mark.filterwarnings("error")
def test_age_zero_stands_a_step_before_the_first_age_and_every_other_at_its_logarithm():
    fig = plots.training_curve(training(), "log_likelihood_train")
    (ax,) = fig.axes
    assert ax.get_xscale() == "symlog"
    assert ax.get_xlabel() == "training time $t$ [update]"
    places = ax.xaxis.get_transform().transform(AGES.astype(float))
    decades = np.diff(places) / np.log10(2)
    np.testing.assert_allclose(decades[1:], decades[1], rtol=1e-12)
    assert 0 < places[1] - places[0] < decades[1]
    edges = age_edges(ax, AGES.astype(float))
    assert (edges[:-1] < AGES).all() and (AGES < edges[1:]).all()
    np.testing.assert_allclose(edges[3:-1], np.sqrt(AGES[2:-1] * AGES[3:]), rtol=1e-12)
    late = plots.training_curve(training(ages=AGES[1:]), "log_likelihood_train")
    assert late.axes[0].get_xscale() == "log"
    even = plots.training_curve(training(ages=np.arange(0, 90, 10)), "log_likelihood_train")
    assert even.axes[0].get_xscale() == "linear"


def test_a_logarithmic_axis_needs_values_above_zero():
    fig = plots.training_curve(training(), "singular_values_W", panel="method", log=True)
    assert {ax.get_yscale() for ax in fig.axes[:2]} == {"log"}
    with pytest.raises(InputError, match="no logarithm"):
        plots.training_curve(training(), "log_likelihood_train", log=True)


def test_a_line_per_value_of_the_axis_that_is_left_free_with_its_errors():
    ds = training()
    ds["pseudo_log_likelihood_train"][1, 3:6] = np.nan
    ds["pseudo_log_likelihood_train_stderr"][0] = 0.0
    fig = plots.training_curve(ds, "pseudo_log_likelihood_train")
    (ax,) = fig.axes
    one, other = joined(ax)
    np.testing.assert_array_equal(one.get_xdata(), AGES)
    np.testing.assert_array_equal(other.get_xdata(), np.delete(AGES, [3, 4, 5]))
    np.testing.assert_allclose(one.get_ydata(), -10 + np.log1p(AGES), rtol=1e-14)
    # an error that all ages share is a band; there is none where all samples were taken
    (band,) = ax.collections
    edge = band.get_paths()[0].vertices
    at = edge[edge[:, 0] == AGES[-1], 1]
    np.testing.assert_allclose(np.ptp(at), 0.5, rtol=1e-12)
    assert names(fig)[:2] == ["pcd", "exact"] and names(fig)[2].startswith("band: standard error")
    assert "log pseudo-likelihood" in ax.get_ylabel().replace("\n", " ")
    assert ax.get_ylabel().endswith("$\\mathcal{L}_\\mathrm{PL}$ [nat]")


def test_several_quantities_are_called_by_the_words_in_which_they_differ():
    ds = training({"method": ["pcd"]})
    fig = plots.training_curve(ds, ["log_likelihood_train", "log_likelihood_test"])
    (ax,) = fig.axes
    assert ax.get_ylabel() == "log-likelihood $\\mathcal{L}$ [nat]"
    assert names(fig) == ["training data", "test data"]
    train, test = joined(ax)
    assert (train.get_linestyle(), test.get_linestyle()) == ("-", "--")
    assert train.get_color() != test.get_color()
    both = plots.training_curve(training(), ["log_likelihood_train", "log_likelihood_test"])
    assert names(both) == ["pcd", "training data", "exact", "test data"]  # two rows
    colours = [line.get_color() for line in joined(both.axes[0])]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    own = plots.training_curve(ds, ["log_likelihood_train", "log_likelihood_test"], labels=["a", "b"])
    assert names(own) == ["a", "b"]


def test_two_free_axes_become_lines_and_panels_and_disorder_is_averaged():
    ds = training({"N": [8, 16], "disorder": [0, 1], "method": ["pcd", "exact"]})
    ds["log_likelihood_train"][:, 1] += 2.0
    fig = plots.training_curve(ds, "log_likelihood_train")
    assert [ax.get_title() for ax in fig.axes] == ["$N$ = 8", "$N$ = 16"]
    line = joined(fig.axes[1])[1]
    np.testing.assert_allclose(line.get_ydata(), -9 + np.log1p(AGES), rtol=1e-14)
    (bars,) = fig.axes[1].containers[1].lines[2]
    np.testing.assert_allclose([np.ptp(bar[:, 1]) for bar in bars.get_segments()], 2.0, rtol=1e-12)
    named = plots.training_curve(ds, "log_likelihood_train", by="N", panel="method")
    assert [ax.get_title() for ax in named.axes] == ["method: pcd", "method: exact"]
    three = training({"N": [8, 16], "P": [1, 2], "method": ["pcd", "exact"]})
    with pytest.raises(InputError, match="also depends on N"):
        plots.training_curve(three, "log_likelihood_train")


def test_more_lines_than_a_legend_can_name_stand_on_a_colour_bar():
    ds = training({"method": ["pcd"]})
    fig = plots.training_curve(ds, "singular_values_W")
    ax, bar = fig.axes
    assert len(joined(ax)) == 12 and fig.legends == []
    assert bar.get_ylabel() == "mode of W $a$"
    assert bar.get_yticklabels()[0].get_text() == "0" and bar.get_yticklabels()[-1].get_text() == "11"


def test_verdicts_are_words_and_what_was_not_recorded_is_no_point():
    ds = training({"method": ["pcd"]})
    ds["chain_verdict"][0, 0] = 3
    fig = plots.training_curve(ds, "chain_verdict")
    (ax,) = fig.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "equilibrated",
        "lagging",
        "out of equilibrium",
    ]
    np.testing.assert_array_equal(joined(ax)[0].get_xdata(), AGES[1:])


def test_theory_lines_are_black_and_named():
    ds = training({"method": ["pcd"]})
    fig = plots.training_curve(
        ds, "log_likelihood_train", theory=[("entropy", lambda t: np.full(t.shape, -4.0))]
    )
    line = next(line for line in fig.axes[0].get_lines() if line.get_color() == "black")
    assert set(line.get_ydata()) == {-4.0} and (line.get_xdata().min(), line.get_xdata().max()) == (
        0,
        128,
    )
    assert names(fig) == ["entropy"]


def test_a_quantity_that_is_not_recorded_lists_those_that_are():
    with pytest.raises(InputError, match="did you mean log_likelihood_train"):
        plots.training_curve(training(), "log_likelihood_trains")
    with pytest.raises(InputError, match="update"):
        plots.training_curve(xr.Dataset({"x": ("y", [1.0])}), "x")


def test_an_age_axis_of_even_ages_has_few_ticks():
    ax = new_figure(3.4, 2.7).subplots()
    set_age_axis(ax, np.arange(0, 5001, 50))
    ax.plot([0, 5000], [0, 1])
    assert len(ax.get_xticks()) <= 8


def test_a_line_without_points_has_no_name_and_the_worst_verdict_of_disorder_counts():
    ds = training({"disorder": [0, 1], "method": ["pcd", "exact"]})
    ds["chain_verdict"][:, 1] = 3
    ds["chain_verdict"][1, 0] = 0
    fig = plots.training_curve(ds, "chain_verdict")
    assert names(fig) == ["pcd"]
    np.testing.assert_array_equal(joined(fig.axes[0])[0].get_ydata(), np.where(AGES < 10, 1, 2))


def test_lines_of_verdicts_stand_beside_each_other():
    ds = training({"method": ["pcd", "cd", "pt"]})
    fig = plots.training_curve(ds, "chain_verdict")
    lines = [line.get_ydata() for line in joined(fig.axes[0])]
    assert len(lines) == 3
    for one, other in zip(lines, lines[1:]):
        np.testing.assert_allclose(other - one, 0.7 / 3, rtol=1e-6)
    np.testing.assert_allclose(np.mean(lines, axis=0), np.where(AGES < 10, 1, 2), rtol=1e-6)
    assert fig.axes[0].get_ylim() == (-0.5, 2.5)
