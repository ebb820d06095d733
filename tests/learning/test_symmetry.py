"""Statistics of symmetric couplings are symmetric to the last bit, so that training keeps J legal."""

import numpy as np
import pytest
from learning_models import FULLY_VISIBLE, family, some_visibles

from physebm.free_energy.exact import exact_averages, summed_out
from physebm.model.conditionals import Conditionals
from physebm.model.statistics import RowAverages, statistics


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FULLY_VISIBLE)
def test_statistics_of_symmetric_couplings_are_symmetric(name, dtype):
    loaded = family(name)
    H, params, c = loaded.hamiltonian, loaded.params(0), loaded.coefficients([1.0])
    conditionals = Conditionals(H, c.value[0], params, dtype)
    weights = np.random.default_rng(1).dirichlet(np.ones(1500))
    rows = RowAverages(H, conditionals.states(some_visibles(loaded, 1500)), weights)
    slots = [slot.name for slot in H.slots]
    for averages in (rows, exact_averages(summed_out(H), params, c)):
        found = statistics(H, params, averages, c.value[0], slots)
        for slot in loaded.structure.mirrored:
            S = found[slot]
            np.testing.assert_array_equal(S, S.transpose(1, 0, 3, 2) if S.ndim == 4 else S.T)
