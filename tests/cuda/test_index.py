"""The list at the top of a long module says which parts of the library and which kernels are in it."""

import re

import pytest

from physebm.backends.cuda.emit import library
from physebm.backends.cuda.index import kernels_in
from physebm.study.describe import describe
from physebm.study.models import load_model

# model, chains, parts of the library, kernels: a model for each room that shows its part of the library
LONG = {
    "sk": (64, ("tiles", "dense_blocks", "dense_couplings"), ("sweep",)),
    "hopfield": (64, ("tiles", "dense_blocks", "dense_patterns"), ("sweep",)),
    "potts_machine": (64, ("tiles", "potts_rows"), ("sweep",)),
    "edwards_anderson_3d": (64, ("bits", "planes", "planes_whole"), ("pack", "unpack", "sweep")),
    "ising_2d": (
        1,
        ("lattice_runs", "lattice_kernels"),
        ("colour", "sum", "energies", "sweep", "pack", "unpack"),
    ),
}


@pytest.mark.parametrize("name", LONG)
def test_what_is_listed_stands_below_in_this_order(name):
    chains, parts, kernels = LONG[name]
    text = describe(load_model(name), "cuda", chains=chains)
    head, below = text.split("\n\n", 1)
    listed = re.findall(r"^//     (\w+) +(.+)$", head, re.M)
    assert tuple(each for each, _ in listed) == parts + kernels
    assert all(purpose.endswith(".") and len(purpose) <= 96 for _, purpose in listed)
    places = [below.index(library(part)) for part in parts]
    assert places == sorted(places)
    assert list(kernels_in(below)) == list(kernels)
    assert below.count('extern "C" __global__') == len(kernels)


def test_a_purpose_is_the_first_sentence_above_a_kernel():
    text = (
        "// Not this one.\n\n"
        "// Takes sweeps first .. last - 1\n// of a lane. And then something else.\n"
        'extern "C" __global__ void __launch_bounds__(MOST, 2) sweep(const Parameters p) {\n'
    )
    assert kernels_in(text) == {"sweep": "Takes sweeps first .. last - 1 of a lane."}
