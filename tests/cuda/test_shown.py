"""What `show --stage cuda` prints: for which chains, an index, and the source that is compiled."""

import re
from pathlib import Path

import pytest

import physebm
from physebm.backends.cuda.index import FOLDER, kernels_in, purpose_of
from physebm.backends.cuda.shown import source_of
from physebm.lowering.operands import bind
from physebm.study.describe import describe, plan_of
from physebm.study.models import load_model, models_of

PLAIN = ("types", "philox", "portable", "special", "draws", "reductions", "clusters")
LATTICE = ("colour", "sum", "energies", "sweep", "pack", "unpack")
# model, chains, parts of the library, kernels with the file of each: a model for each room
ROOMS = {
    "p_spin": (1, PLAIN, {"this file": ("sweep",)}),
    "rbm": (
        1,
        (*PLAIN, "tiles", "tile_products", "tensor_products"),
        {"this file": ("split", "sweep")},
    ),
    "sk": (64, (*PLAIN, "tiles", "dense_blocks", "dense_couplings"), {"this file": ("sweep",)}),
    "hopfield": (64, (*PLAIN, "tiles", "dense_blocks", "dense_patterns"), {"this file": ("sweep",)}),
    "potts_machine": (64, (*PLAIN, "tiles", "potts_rows"), {"this file": ("sweep",)}),
    "edwards_anderson_3d": (
        64,
        ("types", "philox", "bits", "planes", "planes_whole"),
        {"planes.cuh": ("pack", "unpack"), "planes_whole.cuh": ("sweep",)},
    ),
    "ising_2d": (
        1,
        ("types", "philox", "reductions", "lattice_runs", "lattice_kernels"),
        {"lattice_kernels.cuh": LATTICE},
    ),
}


def compiled(name: str, chains: int) -> str:
    """Source of a model's plan without the index that some modules have in their middle."""
    loaded = load_model(name)
    plan = plan_of(loaded, chains=chains)
    text = source_of(plan, bind(plan, loaded.hamiltonian, loaded.params())).text
    return re.sub(r"// Parts of the library in this file:\n(//.*\n)*\n", "", text)


def lines(text: str) -> list[str]:
    """What is not empty."""
    return [line for line in text.splitlines() if line]


@pytest.mark.parametrize("name", ROOMS)
def test_the_index_names_all_parts_and_kernels_and_where_they_stand(name):
    chains, parts, kernels = ROOMS[name]
    index = describe(load_model(name), "cuda", chains=chains).split("\n\n", 1)[0]
    head, *groups = re.split(r"^// Kernels in (.+):$", index, flags=re.M)
    assert f" in {FOLDER}, included below; " in head
    listed = r"^//     (\S+) +(.+)$"
    assert re.findall(r"^//     (\w+)\.cuh ", head, re.M) == list(parts)
    found = {file: re.findall(listed, text, re.M) for file, text in zip(groups[::2], groups[1::2])}
    assert {file: tuple(kernel for kernel, _ in rows) for file, rows in found.items()} == kernels
    assert compiled(name, chains).count('extern "C" __global__') == sum(map(len, kernels.values()))


@pytest.mark.parametrize("name", ROOMS)
def test_what_is_shown_is_what_is_compiled_once_the_library_is_included(name):
    chains, parts, _ = ROOMS[name]
    text = describe(load_model(name), "cuda", chains=chains).split("\n\n", 1)[1]
    root = Path(physebm.__file__).parents[1]
    whole, included = re.subn(
        r'^#include "(.+)"\n', lambda found: (root / found[1]).read_text(), text, flags=re.M
    )
    assert included == len(parts)
    assert lines(whole) == lines(compiled(name, chains))


@pytest.mark.parametrize("name", ROOMS)
def test_the_library_is_printed_where_it_is_asked_for(name):
    chains, *_ = ROOMS[name]
    index, text = describe(load_model(name), "cuda", chains=chains, library=True).split("\n\n", 1)
    assert "--library\n//" in index and "all below:" in index
    assert text == compiled(name, chains)


def test_every_model_is_shown_with_an_index_of_lines_that_fit():
    for name in models_of(None):
        text = describe(load_model(name), "cuda")
        index, below = text.split("\n\n", 1)
        assert text == describe(load_model(name), "cuda")
        assert below.startswith(f'#include "{FOLDER}/types.cuh"\n'), name
        assert all(len(line) <= 104 for line in index.split("\n//\n")[1].splitlines()), name
        assert "// Kernels in " in index and ".." not in index.replace("first .. first", ""), name


TOLD = {
    ("sk", "cuda", 7): "1 to 7 chains swept together; others: --chains 8 (8 and more)",
    ("sk", "cuda", 8): "8 and more chains swept together; others: --chains 1 (1 to 7)",
    ("ising_2d", "cuda", 15): "1 to 15 chains swept together; others: --chains 16 (16 and more)",
    ("potts_machine", "cuda", 32): "32 and more chains swept together; others: --chains 1 (1 to 31)",
    ("rbm", "cuda", 64): "any number of chains swept together",
    ("rbm", "numba", 127): (
        "16 to 127 chains swept together; others: --chains 1 (1 to 15), --chains 128 (128 and more)"
    ),
    ("p_spin", "numba", 1): "any number of chains swept together",
}


@pytest.mark.parametrize("asked", TOLD, ids=str)
def test_the_first_line_says_for_how_many_chains(asked):
    name, stage, chains = asked
    first = describe(load_model(name), stage, chains=chains).splitlines()[0]
    assert first.lstrip("/# ") == f"For {TOLD[asked]}."


def test_a_purpose_is_the_first_sentence_of_a_part_and_above_a_kernel():
    assert purpose_of("clusters").endswith("is the smallest unit of its cluster.")
    assert purpose_of("exchange").startswith("One even-odd round of exchanges")
    text = (
        "// Not this one.\n\n"
        "// Takes sweeps first .. last - 1\n// of a lane. And then something else.\n"
        'extern "C" __global__ void __launch_bounds__(MOST, 2) sweep(const Parameters p) {\n'
    )
    assert kernels_in(text) == {"sweep": "Takes sweeps first .. last - 1 of a lane."}
