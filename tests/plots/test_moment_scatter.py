"""Moments of a model against those of data."""

import numpy as np
import pytest

from physebm import plots
from physebm.plots.moments import DENSE


@pytest.fixture
def moments():
    random = np.random.Generator(np.random.PCG64(6))
    data = [random.random(30), random.normal(size=(12, 12)), random.normal(size=50) * 1e-3]
    return data, [each + 0.1 * each.std() * random.normal(size=each.shape) for each in data]


@pytest.mark.filterwarnings("error")
def test_every_moment_is_a_point_beside_the_diagonal_and_the_correlation_is_said(moments):
    data, model = moments
    data[0][3] = np.nan
    fig = plots.moment_scatter(data, model, errors=[0.1, None, np.full(50, 1e-4)])
    assert len(fig.axes) == 3 and fig.axes[0].get_ylabel() == "model"
    for ax, a, b in zip(fig.axes, data, model):
        known = np.isfinite(a)
        points = ax.containers[0].lines[0].get_xydata()
        np.testing.assert_array_equal(points, np.stack([a[known], b[known]], axis=1))
        assert f"{np.corrcoef(a[known], b[known])[0, 1]:.4f}" in ax.texts[0].get_text()
        assert f"rms {np.sqrt(np.mean((a - b)[known] ** 2)):.2g}" in ax.texts[0].get_text()
        diagonal = ax.get_lines()[-1].get_xydata()
        assert (diagonal[:, 0] == diagonal[:, 1]).all()
        assert ax.get_xlim() == ax.get_ylim() == tuple(diagonal[:, 0])
    (bars,) = fig.axes[0].containers[0].lines[2]
    np.testing.assert_allclose([np.ptp(bar[:, 1]) for bar in bars.get_segments()], 0.2, rtol=1e-12)


@pytest.mark.filterwarnings("error")
def test_many_moments_are_counted_in_hexagons():
    x = np.random.Generator(np.random.PCG64(7)).normal(size=DENSE + 500)
    fig = plots.moment_scatter([x], [0.9 * x], titles=["covariances"])
    ax = fig.axes[0]
    assert ax.collections[0].get_array().sum() == len(x)
    assert ax.get_title() == "covariances" and "$r$ = 1.0000" in ax.texts[0].get_text()


def test_constant_moments_have_no_correlation_and_unequal_shapes_are_refused():
    fig = plots.moment_scatter([np.zeros(5)], [np.arange(5.0)])
    assert "$r$" not in fig.axes[0].texts[0].get_text()
    with pytest.raises(ValueError, match=r"\(5,\) and of the model of \(4,\)"):
        plots.moment_scatter([np.zeros(5)], [np.zeros(4)])
