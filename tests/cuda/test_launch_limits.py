"""The host device refuses the launches that a card refuses, in the words of a card's failure."""

import numpy as np
import pytest
from host_kernels import STRUCT, kernel_of, needs_compiler

from physebm.backends.cuda.host_device import HostDevice, why_refused
from physebm.backends.source import Source
from physebm.errors import BackendError

LIMIT = HostDevice.shared
# (blocks, threads, dynamic shared memory), what is told
REFUSED = (
    ((2**31, 32, 0), "2147483648 blocks, where a grid has 1 to 2147483647"),
    ((0, 32, 0), "0 blocks"),
    ((1, 1025, 0), "1025 threads, where a block has 1 to 1024"),
    ((1, 0, 0), "0 threads"),
    ((1, 65, 0), "65 threads of a block, whose __launch_bounds__ are 64"),
    ((1, 32, LIMIT + 1), "232449 bytes of shared memory, where a block has 232448"),
)
COUNT = "atomicAdd(p.out, 1.0);"


def bounded(bounds: str) -> Source:
    plain = kernel_of(COUNT, before="constexpr i32 MOST = 64;\n")
    return Source(plain.stem, plain.text.replace("void run(", f"void {bounds} run("))


def launched(source: Source, blocks: int, threads: int, shared: int, device=None) -> float:
    """How many threads have run."""
    struct, out = np.zeros((), STRUCT), np.zeros(1)
    struct["out"] = out.ctypes.data
    run = (device or HostDevice()).function(source, "run")
    run(blocks, threads, struct, (np.uint32(0),), shared)
    return out[0]


@needs_compiler
@pytest.mark.parametrize("bounds", ["__launch_bounds__(MOST)", "__launch_bounds__(MOST, 2)"])
@pytest.mark.parametrize(("launch", "told"), REFUSED)
def test_what_a_card_refuses_is_refused(launch, told, bounds):
    with pytest.raises(BackendError) as error:
        launched(bounded(bounds), *launch)
    first, hint = str(error.value).splitlines()
    assert first.startswith("backend 'cuda-host': the device failed launching 'run': ")
    assert told in first and hint.startswith("  hint")


@needs_compiler
def test_launches_up_to_the_limits_run():
    assert launched(kernel_of(COUNT), 2, 1024, LIMIT) == 2048
    assert launched(bounded("__launch_bounds__(MOST, 2)"), 3, 64, 0) == 192
    assert why_refused(2**31 - 1, 1, 0, 1024, LIMIT) is None


@needs_compiler
def test_the_limit_of_shared_memory_is_what_the_device_states():
    device = HostDevice()
    device.shared = 100
    assert launched(kernel_of(COUNT), 1, 1, 100, device) == 1
    with pytest.raises(BackendError, match="101 bytes of shared memory, where a block has 100"):
        launched(kernel_of(COUNT), 1, 1, 101, device)
