"""The host device finds what it is there to find: missing barriers, barriers that some threads skip."""

import numpy as np
import pytest
from host_kernels import kernel_of, needs_compiler, run, without_barrier
from small_models import small

from physebm.backends.cuda.emit import emit
from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.load import CudaKernels
from physebm.backends.source import Source
from physebm.errors import BackendError

pytestmark = needs_compiler

REVERSED = (
    "__shared__ double row[64];\n"
    "row[threadIdx.x] = p.a[threadIdx.x];\n"
    "BARRIER\n"
    "p.out[threadIdx.x] = row[blockDim.x - 1 - threadIdx.x];"
)


def test_a_barrier_separates_phases_in_any_order_of_threads():
    values = np.arange(64.0)
    source = kernel_of(REVERSED.replace("BARRIER", "__syncthreads();"))
    for seed in range(4):
        got = run(source, values, out=np.empty(64), threads=64, seed=seed)
        assert np.array_equal(got, values[::-1])


def test_a_missing_barrier_shows():
    values = np.arange(64.0)
    source = kernel_of(REVERSED.replace("BARRIER", ""))
    results = [run(source, values, out=np.empty(64), threads=64, seed=seed) for seed in range(4)]
    assert any(not np.array_equal(each, values[::-1]) for each in results)


def test_a_barrier_that_some_threads_skip_is_an_error():
    source = kernel_of("if (threadIdx.x < 3) __syncthreads(); else __syncwarp();")
    with pytest.raises(BackendError, match="wait for each other for ever"):
        run(source, np.zeros(1), out=np.zeros(1))


def test_threads_of_a_warp_exchange_values_while_other_warps_wait_at_a_barrier():
    source = kernel_of(
        "double value = p.a[threadIdx.x];\n"
        "if (threadIdx.x < 32) {\n"
        "    value += __shfl_xor_sync(~0u, value, 1);\n"
        "    value += __shfl_down_sync(~0u, value, 2);\n"
        "    const unsigned odd = __ballot_sync(~0u, threadIdx.x & 1);\n"
        "    if (__any_sync(~0u, threadIdx.x == 5)) value += __popc(odd);\n"
        "}\n"
        "__syncthreads();\n"
        "p.out[threadIdx.x] = value;"
    )
    a = np.arange(64.0) ** 2
    paired = a[:32] + a[:32].reshape(-1, 2)[:, ::-1].reshape(-1)
    down = paired[np.minimum(np.arange(32) + 2, 31)]
    down[30:] = paired[30:]
    expected = np.concatenate([paired + down + 16, a[32:]])
    assert np.array_equal(run(source, a, out=np.empty(64), threads=64, seed=3), expected)


@pytest.mark.parametrize("name", ["edwards_anderson_3d", "rbm", "hopfield", "sk"])
def test_a_sweep_without_one_of_its_barriers_differs(name):
    """The last barrier of a move: units would be drawn from fields that are not there yet."""
    model = small(name, temperatures=(1.0,))
    lanes = model.lanes(4, seed=3)
    start = model.random_state(lanes)
    whole = emit(model.plan)
    barriers = whole.text.split('extern "C"')[1].count("__syncthreads();")
    expected = swept(model, lanes, start, whole, 1)
    assert all(np.array_equal(expected, swept(model, lanes, start, whole, seed)) for seed in (0, 2, 3))
    for number in range(barriers):
        broken = without_barrier(whole, number)
        results = [swept(model, lanes, start, broken, seed) for seed in (1, 2, 3)]
        if any(not np.array_equal(each, expected) for each in results):
            return
    raise AssertionError("no barrier of this kernel matters on the host")


def swept(model, lanes, start, source: Source, seed: int) -> np.ndarray:
    kernels = CudaKernels(model.plan, HostDevice(32, seed))
    kernels._source = source
    state = start.copy()
    kernels.prepare(state, lanes, model.launch)
    kernels.sweep(state, lanes, model.launch, 0, 5)
    return np.concatenate([x.ravel() for x in state.x.values()])
