"""Features and couplings: sorted by norm, one scale about zero, the diagonal left out."""

import numpy as np
import pytest

from physebm import plots


@pytest.fixture
def W():
    return np.random.Generator(np.random.PCG64(4)).normal(size=(6, 5)) * np.array([1, 5, 2, 4, 3])


@pytest.mark.filterwarnings("error")
def test_features_are_pictures_sorted_by_norm_on_one_scale_about_zero(W):
    fig = plots.features(W, (2, 3), count=4)
    ax, bar = fig.axes
    order = np.argsort(-np.linalg.norm(W, axis=0))[:4]
    plane = np.asarray(ax.images[0].get_array().filled(np.nan))
    np.testing.assert_array_equal(plane[:2, :3], W[:, order[0]].reshape(2, 3))
    np.testing.assert_array_equal(plane[-2:, -3:], W[:, order[3]].reshape(2, 3))
    low, high = ax.images[0].get_clim()
    assert low == -high and high == np.abs(W[:, order]).max()
    assert bar.get_ylabel() == "weight $W_{ik}$"
    assert [text.get_text() for text in ax.texts] == [str(k) for k in order]
    assert ax.get_xlabel() == "over each: the hidden unit $k$, by norm"


@pytest.mark.filterwarnings("error")
def test_features_without_a_plane_are_one_heat_map(W):
    fig = plots.features(W, symbol="\\xi_{\\mu i}", hidden="pattern $\\mu$")
    ax, bar = fig.axes
    np.testing.assert_array_equal(
        ax.images[0].get_array(), W[:, np.argsort(-np.linalg.norm(W, axis=0))]
    )
    assert ax.get_xlabel() == "pattern $\\mu$, by norm" and ax.get_ylabel() == "visible unit $i$"
    assert bar.get_ylabel() == "weight $\\xi_{\\mu i}$"
    order = np.argsort(-np.linalg.norm(W, axis=0))
    assert [label.get_text() for label in ax.get_xticklabels()] == [str(k) for k in order]


def test_features_with_states_are_pictures_of_states_against_sites():
    W = np.zeros((4, 3, 2))
    W[1, 2, 0], W[3, 0, 1] = 5.0, -7.0
    (ax, _) = plots.features(W).axes
    plane = np.asarray(ax.images[0].get_array().filled(np.nan))
    first = plane[:3, :4]
    assert first[0, 3] == -7.0 and np.count_nonzero(first) == 1


def test_several_arrays_are_rows_or_panels_on_one_scale(W):
    fig = plots.features([W, 10 * W[:, :3]], (2, 3), titles=["a", "b"])
    ax = fig.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    plane = np.asarray(ax.images[0].get_array().filled(np.nan))
    assert plane.shape == (2 * 3 - 1, 5 * 4 - 1)
    order = np.argsort(-np.linalg.norm(W[:, :3], axis=0))
    np.testing.assert_array_equal(plane[3:, :3], 10 * W[:, order[0]].reshape(2, 3))
    assert np.isnan(plane[3:, 12:]).all()
    maps = plots.features([W, 10 * W], titles=["a", "b"])
    assert [ax.get_title() for ax in maps.axes[:2]] == ["a", "b"]
    assert maps.axes[0].images[0].get_clim() == maps.axes[1].images[0].get_clim()


@pytest.mark.filterwarnings("error")
def test_couplings_are_a_map_about_zero_without_their_diagonal():
    J = np.array([[9.0, 1.0, -2.0], [1.0, 9.0, 0.5], [-2.0, 0.5, 9.0]])
    fig = plots.couplings(J, units="spin")
    ax, bar = fig.axes
    drawn = ax.images[0].get_array()
    assert drawn.mask.tolist() == np.eye(3, dtype=bool).tolist()
    assert ax.images[0].get_clim() == (-2, 2)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("spin $j$", "spin $i$")
    assert bar.get_ylabel() == "coupling $J_{ij}$"
    assert J[0, 0] == 9.0


def test_couplings_of_states_are_their_frobenius_norm():
    J = np.random.Generator(np.random.PCG64(5)).normal(size=(4, 4, 3, 3))
    ax, bar = plots.couplings(J).axes
    drawn = ax.images[0].get_array()
    assert drawn[1, 2] == pytest.approx(np.linalg.norm(J[1, 2]), rel=1e-14)
    assert ax.images[0].get_clim()[0] == 0 and "norm" in bar.get_ylabel()


def test_a_reference_takes_the_upper_triangle():
    J, known = np.full((3, 3), 1.0), np.full((3, 3), -4.0)
    fig = plots.couplings([J, 2 * J], [known, known], titles=["pcd", "tap"])
    one, other = (ax.images[0].get_array() for ax in fig.axes[:2])
    assert one[0, 2] == other[0, 2] == -4.0 and (one[2, 0], other[2, 0]) == (1.0, 2.0)
    assert fig.axes[0].images[0].get_clim() == fig.axes[1].images[0].get_clim() == (-4, 4)
    assert "reference" in fig.get_supxlabel()


def test_many_maps_stand_in_rows_of_three_with_their_titles():
    J = np.arange(16.0).reshape(4, 4)
    fig = plots.couplings([J] * 4, titles=["a", "b", "c", "a title that is too long for one panel"])
    panels = fig.axes[:4]
    assert [ax.get_title() for ax in panels[:3]] == ["a", "b", "c"] and "\n" in panels[3].get_title()
    assert fig.get_figwidth() == 7.0 and len(fig.axes) == 5
    fig.canvas.draw()
    tops = [ax.get_window_extent().y1 for ax in panels]
    assert tops[:3] == pytest.approx([tops[0]] * 3, abs=0.01) and tops[0] > tops[3]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_maps_fill_their_figure_and_their_titles_stand_in_it(count):
    J = np.arange(36.0).reshape(6, 6)
    fig = plots.couplings([J] * count, [J] * count, titles=["learning rate = 0.1"] * count)
    fig.canvas.draw()
    boxes = [ax.get_window_extent() for ax in fig.axes[:count]]
    assert sum(box.width for box in boxes) > 0.55 * fig.bbox.width
    assert all(fig.bbox.height >= ax.title.get_window_extent().y1 for ax in fig.axes[:count])
    gaps = [right.x0 - left.x1 for left, right in zip(boxes, boxes[1:])]
    assert all(gap < 0.1 * boxes[0].width for gap in gaps)
