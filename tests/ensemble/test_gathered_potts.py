"""Potts units that gather their fields: sampled energies and moments against enumeration."""

from dataclasses import replace

import numpy as np
from ensemble_runs import Runs, assert_family, by_kernels, exact_of, z_scores
from small_models import small

from physebm.backends.base import launch
from physebm.lowering.layout import GATHER_LANES, choose_layout
from physebm.lowering.operands import bind
from physebm.lowering.plan import Layout


def test_energies_and_moments_agree_with_enumeration():
    """About 180 numbers by 4096 chains: a false alarm in 1 of 100 seeds, which are pinned."""
    z = []
    for L, q in ((3, 5), (2, 9)):
        model = small("potts_machine", "heat-bath", (1.0, 2.5), seed=3, L=L, q=q)
        plan = choose_layout(model.plan, GATHER_LANES)
        assert plan.layout is Layout.GATHERS
        operands = bind(plan, model.hamiltonian, model.params)
        model = replace(model, plan=plan, launch=launch(plan, operands, model.launch.coefficients))
        advance = by_kernels(model.kernels(), model.launch)
        z.append(z_scores(model, exact_of(model), advance, Runs(chains=4096, draws=10, every=2)))
        assert_family(z[-1])
    z = np.concatenate(z)
    assert len(z) > 150
    assert 0.5 <= np.mean(z**2) <= 1.6
