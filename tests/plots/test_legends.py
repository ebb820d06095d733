"""Legends lie outside the axes, and inside the figure."""

import matplotlib.pyplot as plt
import pytest

from physebm.plots.legends import BAD, METASTABLE, SUSPECT, explain, mark
from physebm.plots.style import STYLE


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_explanations_stay_within_the_figure(count):
    labels = [BAD, METASTABLE, SUSPECT, "mean of 4 samples of disorder", "chains out of equilibrium"]
    with plt.style.context(STYLE):
        fig, _ = plt.subplots(figsize=(7.0, 2.9), layout="constrained")
        explain(fig, [mark(label, marker="x") for label in labels[:count]])
        fig.canvas.draw()
        box = fig.legends[0].get_window_extent()
        assert box.x0 >= 0 and box.x1 <= fig.bbox.x1 and box.y0 >= 0
        plt.close(fig)
