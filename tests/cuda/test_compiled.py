"""Generated CUDA C: reviewed as text, shared by structure, and accepted by NVIDIA's compilers."""

import pytest
from compilers import compiled, nvrtc
from parity_cases import CASES, build
from small_models import ZOO

from physebm.backends.cuda.emit import emit, kernels_text
from physebm.backends.cuda.tiles.emit import emit_tiles
from physebm.backends.cuda.tiles.reads import Shape
from physebm.lowering.pipeline import Options, lower
from physebm.study.models import load_model

ARCHITECTURES = ("sm_80", "sm_90")
REVIEWED = {
    "edwards_anderson_3d": "heat-bath",
    "hopfield": "zero-temperature",
    "sk": "heat-bath",
    "potts_2d": "swendsen-wang",
    "potts_machine": "heat-bath",
    "rbm_truncated_gaussian_hidden": "heat-bath",
}
MANY = ("ising_2d", "edwards_anderson_3d", "rbm", "sk", "hopfield", "potts_machine")


def plan_of(name, method="heat-bath", chains=1, **parameters):
    model = load_model(name, **parameters)
    return lower(model.hamiltonian, Options.of(model.params(), method, chains))


def structures() -> dict[str, str]:
    """The source of every structure among the parity cases and the plans of many chains."""
    plans = {f"{name} {method}": build(name, method).plan for name, method in CASES}
    plans |= {f"{name}, many chains": plan_of(name, chains=4096) for name in MANY}
    sources = {}
    for title, plan in plans.items():
        sources.setdefault(emit(plan).text, title)
    return {title: text for text, title in sources.items()}


SOURCES = structures()
every_source = pytest.mark.parametrize("title", SOURCES)


@pytest.mark.parametrize("name", REVIEWED)
def test_the_generated_source_reads_as_reviewed(golden, name):
    golden(f"cuda_{name}.cu.txt", kernels_text(plan_of(name, REVIEWED[name])))


def test_models_of_one_structure_share_one_source():
    assert emit(plan_of("ising_2d", L=8)) == emit(plan_of("ising_2d", L=64))
    assert emit(plan_of("ising_2d")) == emit(plan_of("ising_3d"))
    assert emit(plan_of("hopfield", P=3)) == emit(plan_of("hopfield", N=50, P=7))
    few, many = (emit_tiles(plan_of("rbm", chains=n), Shape(2, 1)) for n in (1, 4096))
    assert few == many  # how the CPU takes products is another matter
    assert emit(plan_of("sk", N=10)).name != emit(plan_of("hopfield", N=10)).name


@pytest.mark.parametrize("name", ZOO)
def test_every_model_emits_deterministic_text(name):
    assert emit(plan_of(name)) == emit(plan_of(name))


@pytest.mark.skipif(nvrtc() is None, reason="no NVRTC: pip install nvidia-cuda-nvrtc-cu12")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@every_source
def test_nvrtc_neither_warns_nor_spills_registers(title, architecture):
    for kernel, (registers, spilled) in compiled(SOURCES[title], architecture).items():
        assert spilled == 0, f"{kernel} spills {spilled} bytes"
        assert registers <= 128, f"{kernel} takes {registers} registers: few blocks per multiprocessor"
