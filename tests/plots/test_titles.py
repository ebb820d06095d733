"""Titles above figures: they cover neither legends nor axes, and leave both as large as they were."""

import numpy as np
import pytest

from physebm import plots
from physebm.storage.dataset import summary_dataset


def drawn():
    ds = summary_dataset(
        {"h": [0.0, 0.5], "temperature": [1.0, 2.0]},
        {"energy": (np.array([[-1.0, -0.5], [-1.4, -0.9]]), np.full((2, 2), 0.01), np.ones((2, 2)))},
    )
    return plots.curve(ds, "temperature", "energy", by="h", theory=[("exact", np.negative)])


def boxes(fig):
    """Boxes in inches of the title, of every legend and of the axes, after the layout."""
    fig.canvas.draw()
    inches = fig.dpi_scale_trans.inverted()
    every = (fig._suptitle, *fig.legends, *fig.axes)
    return [each.get_window_extent().transformed(inches) for each in every if each is not None]


@pytest.mark.parametrize("titles", [("Ising model",), ("Below", "Above\nin two lines")])
def test_a_title_stands_above_the_legend_and_takes_no_room_from_the_axes(titles):
    before = boxes(drawn())
    fig = drawn()
    for title in titles:
        plots.entitled(fig, title)
    title, legend, axes = boxes(fig)
    assert title.y1 <= fig.get_figheight() and title.y0 >= legend.y1 - 0.02
    assert legend.y0 >= axes.y1
    assert (axes.width, axes.height) == pytest.approx((before[1].width, before[1].height), abs=0.02)
    assert fig.get_suptitle().split("\n")[-1] == titles[0]


def test_a_long_title_is_broken_at_the_width_of_the_figure():
    fig = plots.entitled(drawn(), "a phase diagram " * 5)
    title, *_ = boxes(fig)
    assert fig.get_suptitle().count("\n") == 1 and title.width < fig.get_figwidth()


def test_no_title_changes_nothing():
    fig = drawn()
    size = fig.get_figheight()
    assert plots.entitled(fig, "").get_suptitle() == "" and fig.get_figheight() == size
