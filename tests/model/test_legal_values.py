"""Values that no kernel could hold are refused where they come in."""

import numpy as np
import pytest

from physebm.errors import InputError, ModelFileError
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.study.models import load_model


@pytest.mark.parametrize("temperature", [0.0, float("nan")])
def test_temperatures_that_are_none_are_refused(temperature):
    with pytest.raises(InputError, match="temperature"):
        load_model("ising_2d", L=4).coefficients([1.0, temperature])


def test_couplings_beyond_single_precision_are_refused():
    model = load_model("sk", N=10)
    params = model.params(0)
    (name,) = params.arrays
    plan = lower(model.hamiltonian, Options.of(params, "heat-bath", 1))
    huge = params.with_arrays(**{name: np.where(params.arrays[name] > 0, 1e31, 0.0)})
    huge = huge.with_arrays(**{name: np.maximum(huge.arrays[name], huge.arrays[name].swapaxes(1, 2))})
    with pytest.raises(ModelFileError, match="single precision"):
        bind(plan, model.hamiltonian, huge)
