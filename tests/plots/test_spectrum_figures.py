"""Spectra against age: a line per mode, and as colour how the modes lie in the data."""

import numpy as np
import pytest

from physebm import plots
from physebm.errors import InputError
from physebm.storage.training import training_dataset

AGES = np.array([0, 1, 2, 4, 8, 16, 32, 64])


def spectra(axes, alignment=True):
    grid = tuple(len(values) for values in axes.values())
    ones = np.ones((*grid, 1, 1))
    histories = {"singular_values_W": (1.0 + AGES[:, None]) / (1 + np.arange(5)) * ones}
    if alignment:
        cosine = np.zeros((*grid, len(AGES), 3, 4))
        cosine[..., 0, 2] = 0.9
        cosine[..., 0, 1] = 0.3
        cosine[..., 1, 0] = AGES / 64
        cosine[..., 2, :] = np.nan
        histories["mode_alignment_W"] = cosine
    return training_dataset(axes, AGES, histories)


@pytest.mark.filterwarnings("error")
def test_a_line_per_mode_the_largest_darkest_and_on_top():
    fig = plots.spectrum(spectra({"N": [8]}), "W", alignment=False, log=True)
    ax, bar = fig.axes
    lines = ax.get_lines()
    np.testing.assert_allclose([line.get_ydata()[0] for line in lines[::-1]], 1 / np.arange(1.0, 6))
    light = [sum(line.get_color()[:3]) for line in lines]
    assert light == sorted(light, reverse=True)
    assert ax.get_yscale() == "log" and ax.get_xscale() == "symlog"
    assert ax.get_ylabel() == "singular values of W $s_a$"
    assert bar.get_ylabel() == "rank of the mode" and bar.get_yticklabels()[0].get_text() == "1"
    assert fig.get_figwidth() == 3.4


@pytest.mark.filterwarnings("error")
def test_alignment_is_the_largest_overlap_of_each_mode_at_each_age():
    fig = plots.spectrum(spectra({"N": [8]}), "W")
    _, right, ranks, bar = fig.axes
    # beside the axis of ranks the bar of ranks has one word over it
    assert (ranks.get_ylabel(), ranks.get_title(), right.get_ylabel()) == (
        "",
        "rank",
        "rank of the mode",
    )
    cells = right.collections[0].get_array()
    np.testing.assert_allclose(cells[0], 0.9)
    np.testing.assert_allclose(cells[1], AGES / 64)
    assert cells.mask[2].all()
    assert right.collections[0].get_clim() == (0, 1)
    assert right.get_ylim() == (3.5, 0.5) and "u_a" in bar.get_ylabel()


def test_panels_share_one_colour_of_ranks_though_their_arrays_differ_in_size():
    ds = spectra({"Nh": [3, 5]})
    ds["singular_values_W"][0, :, 3:] = np.nan
    fig = plots.spectrum(ds, "W", panel="Nh")
    left, right = fig.axes[:2]
    assert [ax.get_title() for ax in (left, right)] == ["Nh = 3", "Nh = 5"]
    assert (len(left.get_lines()), len(right.get_lines())) == (3, 5)
    assert left.get_lines()[-1].get_color() == right.get_lines()[-1].get_color()
    assert fig.axes[2].get_ylabel() == "rank of the mode"


def test_ages_without_an_alignment_are_left_out_and_disorder_is_averaged():
    ds = spectra({"disorder": [0, 1]})
    ds["singular_values_W"][1] *= 3
    ds["mode_alignment_W"][:, -1] = np.nan
    left, right, *_ = plots.spectrum(ds, "W").axes
    np.testing.assert_allclose(left.get_lines()[-1].get_ydata(), 2 * (1.0 + AGES))
    assert right.collections[0].get_array().shape == (3, len(AGES) - 1)


def test_an_array_without_a_spectrum_and_an_axis_that_is_not_shown_are_refused():
    with pytest.raises(InputError, match="singular_values_a"):
        plots.spectrum(spectra({"N": [8]}), "a")
    with pytest.raises(InputError, match="also depends on N"):
        plots.spectrum(spectra({"N": [8, 16]}), "W")
    assert plots.spectrum(spectra({"N": [8, 16]}), "W", select={"N": 16}).axes


@pytest.mark.parametrize("count", [1, 5, 6, 7, 64])
def test_the_bar_of_ranks_names_the_first_and_the_last(count):
    values = np.linspace(2.0, 1.0, count) * np.ones((len(AGES), 1))
    ds = training_dataset({}, AGES, {"singular_values_W": values})
    _, bar = plots.spectrum(ds, "W").axes
    named = [int(label.get_text()) for label in bar.get_yticklabels()]
    assert (named[0], named[-1], len(named)) == (1, count, min(count, 6))
