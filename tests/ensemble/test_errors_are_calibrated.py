"""Pulls of independent runs: an error bar of one chain's bins is the spread of many chains' means."""

import numpy as np
import pytest
from ensemble_runs import Runs, exact_of, exact_start
from small_models import small

from physebm.model import energy
from physebm.observables.binning import BinnedSeries
from physebm.observables.correlation import integrated_time

RUNS, SWEEPS = 160, 2048


@pytest.mark.parametrize(
    ("name", "temperature", "slow"),
    [("ising_chain", 0.6, 2.0), ("rbm_gaussian_hidden", 1.0, 0.8)],
)
def test_pulls_of_the_energy_are_standard_normal(name, temperature, slow):
    model = small(name, "heat-bath", (temperature,), seed=1)
    exact = exact_of(model)
    state, lanes = exact_start(model, exact, Runs(chains=RUNS))
    kernels = model.kernels()
    kernels.prepare(state, lanes, model.launch)
    slope = np.empty((SWEEPS, RUNS))
    for sweep in range(SWEEPS):
        E = kernels.sweep(state, lanes, model.launch, sweep, 1)
        slope[sweep], _ = energy.energy_derivatives(
            model.hamiltonian, model.launch.coefficients, E, lanes.rung
        )
    # draws are correlated, else there would be nothing to calibrate
    assert integrated_time(slope.T).tau > slow
    series = BinnedSeries((RUNS,))
    series.append(slope)
    pulls = (series.mean() - exact.derivative) / series.stderr()
    # 160 runs: the mean has error 0.079, the spread 0.056; bins of 64 sweeps and more cost a few %
    assert abs(pulls.mean()) < 4 * 0.079
    assert 0.8 < pulls.std() < 1.25
    # pooled over all runs the error is that of the mean of 160 chains
    pooled = (series.mean().mean() - exact.derivative[0]) / series.stderr(chain_axis=0)
    assert abs(pooled) < 4
    naive = slope.std(axis=0) / np.sqrt(SWEEPS)
    spread = series.mean().std(ddof=1)
    assert spread > 1.1 * naive.mean()
