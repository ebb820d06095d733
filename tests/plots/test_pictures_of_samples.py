"""Samples as pictures or rasters: every unit in its place, colours that say what a state is."""

import numpy as np
import pytest

from physebm import plots
from physebm.plots.colour_scales import diverging_scale, sequential_scale, state_scale
from physebm.plots.mosaic import columns_for, mosaic


def cells(ax):
    return np.asarray(ax.images[0].get_array().filled(np.nan))


@pytest.mark.filterwarnings("error")
def test_every_picture_stands_in_its_place_between_gaps():
    states = np.random.Generator(np.random.PCG64(1)).integers(0, 2, (6, 12))
    fig = plots.samples(states, (3, 4))
    (ax,) = fig.axes
    plane = cells(ax)
    columns = columns_for(6, (3, 4))
    rows = -(-6 // columns)
    assert plane.shape == (rows * 4 - 1, columns * 5 - 1)
    for number, state in enumerate(states):
        row, column = divmod(number, columns)
        found = plane[row * 4 : row * 4 + 3, column * 5 : column * 5 + 4]
        np.testing.assert_array_equal(found, state.reshape(3, 4))
    assert np.isnan(plane[3::4]).all() and np.isnan(plane[:, 4::5]).all()
    assert ax.images[0].get_clim() == (0, 1) and fig.get_figwidth() <= 7.0


def test_rows_of_samples_are_named_and_missing_samples_left_empty():
    states = np.ones((2, 3, 4))
    states[1, 2] = np.nan
    fig = plots.samples(
        states, (2, 2), prior="ising", row_titles=["data", "chains"], column_titles=["a", "b", "c"]
    )
    (ax,) = fig.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["data", "chains"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    assert np.isnan(cells(ax)[3:, 6:]).all() and ax.images[0].get_clim() == (-1, 1)
    assert len(ax.collections[0].get_paths()) == 5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [None, (7,), (1, 7), (7, 1)])
def test_units_that_make_no_picture_are_a_raster_of_samples_against_units(shape):
    states = np.arange(5 * 7).reshape(5, 7) % 4
    fig = plots.samples(states, shape, prior="potts", units="site")
    ax, bar = fig.axes
    np.testing.assert_array_equal(ax.images[0].get_array(), states)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("site $i$", "sample")
    assert ax.get_xlim() == (0.5, 7.5) and ax.get_ylim() == (5.5, 0.5)
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "1", "2", "3"]
    two = plots.samples(np.stack([states, states]), row_titles=["data", "chains"])
    assert [ax.get_title() for ax in two.axes[:2]] == ["data", "chains"]


def test_colours_say_off_and_on_zero_and_sign():
    bernoulli, ising = (state_scale(np.ones(4), prior) for prior in ("bernoulli", "ising"))
    assert bernoulli.cmap(bernoulli.norm(0.0))[:3] == (1.0, 1.0, 1.0)
    assert max(bernoulli.cmap(bernoulli.norm(1.0))[:3]) < 0.05
    red, _, blue = ising.cmap(ising.norm(1.0))[:3]
    assert red > blue and ising.norm.vmin == -ising.norm.vmax == -1
    continuous = state_scale(np.array([-1.0, 3.0]), "gaussian")
    assert (continuous.norm.vmin, continuous.norm.vmax) == (-3, 3)
    assert state_scale(np.array([0.0, 3.0]), "truncated_gaussian").norm.vmin == 0
    many = state_scale(np.arange(21), "potts")
    assert len({tuple(many.cmap(many.norm(state))) for state in range(21)}) == 21


def test_few_outliers_do_not_wash_out_a_scale_and_the_bar_says_that_they_are_there():
    values = np.concatenate([np.linspace(-1, 1, 2000), [50.0]])
    scale = diverging_scale(values)
    assert 0.99 < scale.norm.vmax < 1.01 and scale.extend == "both"
    whole = diverging_scale(values, within=100.0)
    assert whole.norm.vmax == 50 and whole.extend == "neither"
    assert sequential_scale(np.abs(values)).extend == "max"
    assert diverging_scale(np.zeros(3)).norm.vmax == 1.0
    assert diverging_scale(np.full(2, np.nan)).norm.vmax == 1.0


def test_a_grid_is_wide_and_nearly_full():
    for count in range(1, 130):
        columns = columns_for(count, (8, 8))
        rows = -(-count // columns)
        assert 1 <= columns <= count and rows * columns - count <= max(1, 0.25 * count)
        assert count < 4 or 0.9 <= columns / rows <= 5
    assert columns_for(10, (21, 53)) < columns_for(10, (8, 8))


def test_a_mosaic_of_one_picture_is_the_picture():
    picture = np.arange(6.0).reshape(1, 1, 2, 3)
    np.testing.assert_array_equal(mosaic(picture, 2), picture[0, 0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(8, 10), (4, 20), (20, 4)])
@pytest.mark.parametrize("names", [["a", "b"], ["rbm_truncated_gaussian_hidden", "Nh = 20, steps = 5"]])
@pytest.mark.parametrize("prior", ["bernoulli", "gaussian"])
def test_no_name_leaves_the_figure_or_covers_another(shape, names, prior):
    states = np.linspace(-1, 1, 2 * 12 * 80).reshape(2, 12, 80)
    fig = plots.samples(states, shape, prior=prior, row_titles=names)
    before = [ax.get_window_extent().bounds for ax in fig.axes]
    plots.entitled(plots.entitled(fig, "N = 20"), "Chains at the end")
    fig.canvas.draw()
    assert fig.get_suptitle() == "Chains at the end\nN = 20"
    title = fig._suptitle.get_window_extent()
    for ax, place in zip(fig.axes, before, strict=True):
        box = ax.get_tightbbox()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= fig.bbox.x1 and box.y1 <= title.y0
        np.testing.assert_allclose(ax.get_window_extent().bounds, place, rtol=1e-9)
    one, other = (label.get_window_extent() for label in fig.axes[0].get_yticklabels())
    assert not one.overlaps(other)
