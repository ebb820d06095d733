"""Modules for lattices in runs: arrays, sizes, text, and NVIDIA's compilers."""

from dataclasses import replace

import numpy as np
import pytest
from compilers import compile_by_nvrtc, nvcc, nvrtc, resources
from host_kernels import kernels
from run_lattices import of

from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.index import with_index
from physebm.backends.cuda.lattice.emit import emit_lattice, functions_text, head_text
from physebm.backends.cuda.lattice.load import RunsKernels
from physebm.backends.cuda.lattice.parameters import (
    MOST_INDICES,
    degrees_of,
    fits_runs,
    lattice_arrays,
)
from physebm.backends.cuda.lattice.shape import shape_of
from physebm.backends.cuda.rooms import kernels_of
from physebm.backends.runs.graph import RUN
from physebm.study.describe import describe
from physebm.study.models import load_model


def test_bytes_hold_what_they_are_given():
    """Weights stand four to a word beside the units whose neighbours they weigh, zero elsewhere."""
    model = of("signs by instance")
    arrays = model.launch.operands.arrays
    made = lattice_arrays(model.plan, model.launch.operands)
    order, w, n = arrays["order0"][0], arrays["w0"], arrays["n0"][0]
    words = made["weight0"]
    assert words.shape == (2, len(order) // RUN, 2, RUN)
    bytes_ = np.ascontiguousarray(words.transpose(0, 1, 3, 2)).view(np.int8).reshape(2, len(order), 8)
    there = order >= 0
    assert np.array_equal(bytes_[:, there, :6], w[:, order[there]])
    assert not bytes_[:, ~there].any() and not bytes_[:, :, 6:].any()
    run, place, row = made["run0"][0], made["place0"][0], np.append(order, -1)
    assert (run < 0).any() and (run >= 0).any()
    for p in np.flatnonzero(there):
        start = run[p // RUN].astype(np.int64)
        at = np.where(start >= 0, start + p % RUN, place[np.where(start < 0, -1 - start, 0) + p % RUN])
        assert np.array_equal(row[at], n[order[p]])


def test_what_does_not_fit_bytes_goes_to_the_plain_kernel():
    model = of("signs by instance")
    for weight, fits in ((1, True), (127, True), (128, False)):
        arrays = dict(model.launch.operands.arrays) | {
            "w0": weight * model.launch.operands.arrays["w0"]
        }
        operands = replace(model.launch.operands, arrays=arrays)
        assert fits_runs(model.plan, replace(model.launch, operands=operands)) is fits
    for entries in (MOST_INDICES, MOST_INDICES + 2):
        launch = replace(model.launch, tables={0: np.zeros((1, entries), np.int64)})
        assert fits_runs(model.plan, launch) is (entries <= MOST_INDICES)
    for case, most in (("square", 127), ("square in a field", 63)):
        model = of(case)
        operands = model.launch.operands
        for degree in (most, most + 1):
            arrays = dict(operands.arrays) | {"n0": np.zeros((1, 9, degree), np.int32)}
            launch = replace(model.launch, operands=replace(operands, arrays=arrays))
            assert fits_runs(model.plan, launch) is (degree <= most)


class Card(HostDevice):
    """A device by its numbers: those of an H100."""

    def __init__(self):
        super().__init__(256, 1, 132)


def test_sizes_choose_the_way_and_the_number_of_blocks():
    model = of("square")

    def shape(L: int, lanes: int):
        sizes = {"positions0": L * L, "classes0": 2, "thresholds": 18}
        return shape_of(model.plan, Card(), sizes, lanes, None)

    assert shape(64, 1).whole and shape(64, 1).shared == 64**2 + RUN + 144
    assert not shape(512, 1).whole  # does not fit
    large = shape(4096, 1)
    assert (large.whole, large.threads, large.share) == (False, 256, 528)
    assert shape(4096, 1000).share == 1
    # lanes that keep all multiprocessors busy need no launch for each class
    assert shape(256, 132).whole and not shape(448, 1).whole
    assert isinstance(kernels_of(model.plan, HostDevice()), RunsKernels)
    assert isinstance(kernels(model.plan), RunsKernels)


def source_of(case: str) -> str:
    model = of(case)
    return emit_lattice(model.plan, degrees_of(model.plan, model.launch.operands)).text


STRUCTURES = pytest.mark.parametrize(
    "case", ["square", "signs by instance", pytest.param("gas", marks=pytest.mark.slow)]
)


def test_what_is_shown_is_what_is_compiled():
    text = describe(load_model("ising_2d", L=32, h=0.0), "cuda", library=True)
    assert text.endswith(with_index(source_of("square"), True))
    assert "sum_of_neighbours<DEGREE0>" in text


def test_the_generated_source_reads_as_reviewed(golden):
    plan = of("square in a field").plan
    golden("cuda_runs_ising_2d.cu.txt", f"{head_text(plan, {0: 4})}\n{functions_text(plan)}")


@pytest.mark.skipif(nvrtc() is None, reason="no NVRTC: pip install nvidia-cuda-nvrtc-cu12")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@STRUCTURES
def test_nvrtc_compiles_without_a_warning(case, architecture):
    assert "warning" not in compile_by_nvrtc(source_of(case), architecture)


@pytest.mark.skipif(nvcc() is None, reason="no nvcc: registers and spills are not checked")
@STRUCTURES
def test_no_kernel_spills_registers(case, tmp_path):
    for kernel, (registers, spilled) in resources(source_of(case), "sm_90", tmp_path).items():
        assert spilled == 0, f"{kernel} spills {spilled} bytes"
        assert registers <= 128, f"{kernel} takes {registers} registers"
