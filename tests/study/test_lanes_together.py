"""Whatever sweeps many lanes of one instance together gets the plan for so many."""

import numpy as np
import pytest
from small_models import loaded, small

from physebm.backends.base import launch
from physebm.backends.select import select
from physebm.free_energy.path import thermal_path
from physebm.free_energy.tempered_run import record
from physebm.lowering.operands import bind
from physebm.lowering.plan import Layout, Product
from physebm.schema.study_file import study_from_text
from physebm.study import trained
from physebm.study.models import models_of
from physebm.study.setup import plan_for
from physebm.study.teacher import teacher_sampler
from physebm.study.trained import Trained


class Compiled:
    """A backend that remembers its plans."""

    def __init__(self):
        self.plans = []

    def compile(self, plan):
        self.plans.append(plan)
        return select("reference").compile(plan)


def subsets(plan) -> bool:
    return any(read.subsets_to_a for read in plan.terms if isinstance(read, Product))


@pytest.mark.parametrize(
    ("name", "few", "many"),
    [
        ("edwards_anderson_2d", Layout.ROWS, Layout.PLANES),
        ("sk", Layout.ROWS, Layout.VECTORS),
    ],
)
def test_a_tempered_run_counts_all_rows_and_the_one_apart(name, few, many):
    model, compiled = loaded(name), Compiled()
    path = thermal_path(model.hamiltonian, model.params(1), model.coefficients([2.0, 1.0]))
    for chains in (1, 4):
        record(path, compiled, chains=chains, sweeps=2, discard=0)
    # one ladder has 3 rows and row 0 once more; four have 16 lanes
    assert [plan.layout for plan in compiled.plans] == [few, many]


@pytest.mark.parametrize(("tempering", "layout"), [("false", Layout.ROWS), ("true", Layout.PLANES)])
def test_a_teacher_counts_its_chains_and_rungs(tempering, layout):
    text = (
        'model = "boltzmann_machine"\n[train]\nmethod = "exact"\nupdates = 1\n'
        'data = { source = "model", model = "ising_2d", set = { L = 4 }, samples = 4, '
        f"chains = 2, discard = 1, tempering = {tempering} }}\n"
    )
    declared = study_from_text(text).train.data
    model = loaded("ising_2d", (("L", 4),))
    _, lanes, plan = teacher_sampler(declared, model, model.params(1), 1, 0, "reference")
    assert plan.layout is layout and len(lanes) == (2 if tempering == "false" else 16)


def test_generated_samples_are_swept_together(monkeypatch):
    model, compiled = loaded("rbm"), Compiled()
    machine = Trained(model, model.params(1), 0, (4,))
    monkeypatch.setattr(trained, "select", lambda backend: compiled)
    units = model.hamiltonian.group("v").size
    machine.generate(3, sweeps=1)
    machine.generate(40, sweeps=1)
    machine.generate(40, sweeps=1, clamp={"v": np.r_[1.0, np.full(units - 1, np.nan)]})
    assert [subsets(plan) for plan in compiled.plans] == [False, True, True]


@pytest.mark.parametrize("name", models_of())
def test_held_units_are_left_to_layouts_that_know_them(name):
    model = loaded(name)
    params = model.params(1)
    few = plan_for(model.hamiltonian, params, "heat-bath", 1, False)
    many = plan_for(model.hamiltonian, params, "heat-bath", 4096, False)
    held = plan_for(model.hamiltonian, params, "heat-bath", 4096, True)
    assert held == (few if many.layout in (Layout.PLANES, Layout.VECTORS) else many)


@pytest.mark.parametrize(("name", "sizes"), [("rbm", {}), ("potts_machine", {"q": 5})])
def test_held_units_stay_in_fast_plans_too(name, sizes):
    model = small(name, **sizes)
    plan = plan_for(model.hamiltonian, model.params, "heat-bath", 4096, True)
    assert subsets(plan) or plan.layout is Layout.GATHERS
    operands = bind(plan, model.hamiltonian, model.params)
    bound = launch(plan, operands, model.loaded.coefficients([1.0]))
    lanes = model.lanes(150, seed=7, clamped=True)
    start = model.random_state(lanes)
    moved = {}
    for backend in ("numba", "reference"):
        state, kernels = start.copy(), select(backend).compile(plan)
        kernels.prepare(state, lanes, bound)
        kernels.sweep(state, lanes, bound, 0, 1)
        for group, held in lanes.clamp.items():
            np.testing.assert_array_equal(state.x[group][held], start.x[group][held])
        moved[backend] = state.x
    for group, x in moved["numba"].items():
        # a uniform number between two roundings of a probability: 4e-6 per draw, 3,000 draws at most
        assert (x != moved["reference"][group]).any(axis=1).sum() <= 1
