"""Generated source: reviewed as text, shared by structure, written once, compiled once."""

import pytest
from many_lanes import loads_of_another_process

from physebm.backends.numba_cpu.emit import emit
from physebm.lowering.pipeline import Options, lower
from physebm.study.models import load_model, models_of

REVIEWED = {
    "ising_2d": "heat-bath",
    "edwards_anderson_3d": "metropolis",
    "hopfield": "zero-temperature",
    "sk": "heat-bath",
    "potts_2d": "swendsen-wang",
    "potts_machine": "heat-bath",
    "rbm_truncated_gaussian_hidden": "heat-bath",
    "rbm_potts_hidden": "heat-bath",
}


def plan_of(name, method="heat-bath", **parameters):
    model = load_model(name, **parameters)
    return lower(model.hamiltonian, Options(method, model.integer_slots))


@pytest.mark.parametrize("name", REVIEWED)
def test_the_generated_source_reads_as_reviewed(golden, name):
    golden(f"numba_{name}.py.txt", emit(plan_of(name, REVIEWED[name])).text)


@pytest.mark.parametrize("name", sorted(models_of()))
def test_the_source_is_legal_python_and_deterministic(name):
    source = emit(plan_of(name))
    compile(source.text, name, "exec")
    assert source == emit(plan_of(name))


def test_models_of_one_structure_share_one_source():
    """Sizes, couplings and temperatures are values: a scan over them compiles nothing new."""
    assert emit(plan_of("ising_2d", L=8)) == emit(plan_of("ising_2d", L=64))
    assert emit(plan_of("ising_2d")) == emit(plan_of("ising_3d")) == emit(plan_of("ising_chain"))
    assert emit(plan_of("hopfield", P=3)) == emit(plan_of("hopfield", N=50, P=7))
    assert emit(plan_of("sk", N=10)).name != emit(plan_of("hopfield", N=10)).name


@pytest.mark.parametrize(("name", "size"), [("ising_2d", "L=4"), ("rbm", "Nv=4, Nh=3")])
def test_a_second_process_compiles_nothing(name, size):
    sample = f"physebm.sample(physebm.load_model('{name}', {size}), 2.0, sweeps=64, discard=0)"
    loaded, compiled = loads_of_another_process(sample, ("sweep",))
    assert loaded > 0 and compiled == 0
