"""One message for everything that can go wrong with a GPU; CuPy is played by a stand-in."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from physebm.backends import select as selection
from physebm.backends.cuda import backend as cuda_backend
from physebm.backends.cuda import cupy_device
from physebm.backends.cuda.cupy_device import CupyDevice, why_unusable
from physebm.backends.cuda.device import Device
from physebm.backends.cuda.rooms import kernels_of
from physebm.backends.select import Choice, automatic, choice, select
from physebm.backends.source import Source
from physebm.errors import BackendError
from physebm.lowering.pipeline import Options, lower
from physebm.study.models import load_model


class RuntimeFailure(RuntimeError):
    pass


class DriverFailure(RuntimeError):
    pass


class OutOfMemory(MemoryError):
    pass


class CompileFailure(Exception):
    pass


class Kernel:
    """Keeps what it was launched with."""

    max_dynamic_shared_size_bytes = 48 * 1024

    def __init__(self):
        self.calls = []

    def __call__(self, grid, block, arguments, shared_mem=0):
        self.calls.append((grid, block, arguments, shared_mem))


class Array(np.ndarray):
    """A numpy array with CuPy's ways to the host."""

    @property
    def data(self):
        return SimpleNamespace(ptr=self.ctypes.data)

    def get(self):
        return np.array(self)

    def set(self, values):
        self[...] = values


class Module:
    def __init__(self, code, options):
        self.code, self.kernel = code, Kernel()

    def compile(self):
        if "illegal" in self.code:
            raise CompileFailure("kernels.cu(3): error: expected a ';'")

    def get_function(self, name):
        return self.kernel


class CompilerFailure(RuntimeError):
    pass


class Libraries:
    """cuBLAS, which CuPy loads when it is first used."""

    def __init__(self, missing):
        self.missing = missing

    @property
    def gemm(self):
        if self.missing == "cublas":
            raise ImportError('Failure finding "libcublasLt.so.13"')
        return None


def stand_in(devices=1, capability="90", failure=None, missing=None):
    """A module with as much of CuPy as the device uses."""

    def version():
        if missing == "nvrtc":
            raise ImportError('Failure finding "libnvrtc.so.13"')
        return 12, 9

    def count():
        if failure:
            raise RuntimeFailure(failure)
        return devices

    runtime = SimpleNamespace(
        CUDARuntimeError=RuntimeFailure,
        getDeviceCount=count,
        getDeviceProperties=lambda number: {"name": b"Test Card", "totalGlobalMem": 80 * 2**30},
        memGetInfo=lambda: (3000, 4000),
    )
    cuda = SimpleNamespace(
        runtime=runtime,
        Device=lambda: SimpleNamespace(
            id=0,
            compute_capability=capability,
            attributes={"MultiProcessorCount": 132, "MaxSharedMemoryPerBlockOptin": 232448},
        ),
        memory=SimpleNamespace(OutOfMemoryError=OutOfMemory),
        driver=SimpleNamespace(CUDADriverError=DriverFailure),
        compiler=SimpleNamespace(CompileException=CompileFailure),
        nvrtc=SimpleNamespace(NVRTCError=CompilerFailure, getVersion=version),
    )
    return SimpleNamespace(
        cuda=cuda,
        cublas=Libraries(missing),
        asarray=lambda values: np.array(values).view(Array),
        get_default_memory_pool=lambda: SimpleNamespace(free_bytes=lambda: 500),
        empty=lambda shape, dtype: np.empty(shape, dtype).view(Array),
        RawModule=Module,
    )


@pytest.fixture
def cupy(monkeypatch):
    """``cupy(...)`` puts a stand-in where CuPy is imported from."""
    automatic.cache_clear()
    cupy_device._module.cache_clear()
    cupy_device._entry.cache_clear()

    def put(**ways):
        module = stand_in(**ways)
        monkeypatch.setitem(sys.modules, "cupy", module)
        monkeypatch.setitem(sys.modules, "cupy.cublas", module.cublas)
        monkeypatch.setattr(selection.importlib.util, "find_spec", lambda name: object())
        return module

    yield put
    automatic.cache_clear()
    cupy_device._module.cache_clear()
    cupy_device._entry.cache_clear()


def message(error) -> str:
    text = str(error.value)
    assert "--backend numba" in text and "hint" in text
    return text


def test_without_cupy_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(BackendError) as error:
        CupyDevice()
    assert "pip install '.[gpu]'" in message(error)


@pytest.mark.parametrize(
    ("ways", "told"),
    [
        ({"failure": "cudaErrorInsufficientDriver: too old"}, ("InsufficientDriver", "driver")),
        ({"failure": "cudaErrorNoDevice: no device"}, ("NoDevice", "nvidia-smi")),
        ({"devices": 0}, ("no CUDA device is visible", "CUDA_VISIBLE_DEVICES")),
        ({"capability": "61"}, ("Test Card has compute capability 6.1", "Turing")),
        ({"missing": "cublas"}, ("libcublasLt.so.13", "[gpu]")),
        ({"missing": "nvrtc"}, ("libnvrtc.so.13", "[gpu]")),
    ],
)
def test_a_device_that_cannot_be_used_is_told_with_its_cause(cupy, ways, told):
    cupy(**ways)
    with pytest.raises(BackendError) as error:
        CupyDevice()
    assert all(part in message(error) for part in told)


def test_auto_takes_the_gpu_where_one_works_and_the_cpu_where_none_does(cupy):
    cupy()
    assert why_unusable() is None
    assert select("auto").name == "cuda"
    automatic.cache_clear()
    cupy(devices=0)
    assert select("auto").name == "numba"


def test_the_choice_of_auto_is_told_with_its_reason(cupy, monkeypatch):
    module = cupy()
    monkeypatch.setattr(cuda_backend, "device", CupyDevice)
    assert str(choice()) == str(choice("cuda")) == "cuda (Test Card, 80 GiB)"
    automatic.cache_clear()
    module.cuda.runtime.getDeviceCount = lambda: 0
    assert str(choice()) == "numba (no GPU: no CUDA device is visible)"
    automatic.cache_clear()
    monkeypatch.setattr(selection.importlib.util, "find_spec", lambda name: None)
    assert str(choice()) == "numba (no GPU: CuPy is not installed)"
    assert choice("reference") == Choice("reference")
    with pytest.raises(BackendError) as error:
        choice("cuda")
    assert "no CUDA device is visible" in message(error)


def test_free_memory_counts_what_cupy_holds_without_use(cupy):
    cupy()
    assert CupyDevice().free_bytes() == 3500


def test_memory_that_runs_out_is_told_with_its_size(cupy):
    module, device = cupy(), CupyDevice()

    def full(values):
        raise OutOfMemory("Out of memory allocating 8 bytes")

    module.asarray = full
    with pytest.raises(BackendError) as error:
        device.upload(np.zeros(2**20))
    assert "8 MiB" in message(error) and "fewer chains" in message(error)


def test_a_kernel_that_fails_is_told_and_checkpoints_are_good(cupy):
    cupy()
    device = CupyDevice()
    buffer = device.upload(np.zeros(3))

    def fail():
        raise DriverFailure("CUDA_ERROR_ILLEGAL_ADDRESS")

    buffer.get = fail
    with pytest.raises(BackendError) as error:
        device.download(buffer)
    assert "ILLEGAL_ADDRESS" in message(error) and "resume" in message(error)


def test_a_source_that_does_not_compile_is_written_down(cupy, tmp_path, monkeypatch):
    monkeypatch.setenv("PHYSEBM_CACHE", str(tmp_path))
    cupy()
    with pytest.raises(BackendError) as error:
        CupyDevice().function(Source("bad", "illegal"), "sweep")
    (path,) = tmp_path.glob("bad_*.cu")
    assert str(path) in message(error) and "expected a ';'" in message(error)
    assert path.read_text() == "illegal"


def test_structs_go_by_value_and_numbers_with_their_types(cupy):
    cupy()
    device = CupyDevice()
    run = device.function(Source("good", "kernel"), "sweep")
    struct = np.zeros((), [("a", np.uint64), ("n", np.int64)])
    run(7, 128, struct, (np.uint32(3), np.int32(1)))
    kernel = cupy_device._module(Source("good", "kernel")).kernel
    ((grid, block, arguments, shared),) = kernel.calls
    assert (grid, block, shared) == ((7,), (128,), 0)
    # CuPy passes a numpy array of a structured type by value, scalars by the size of their type
    assert isinstance(arguments[0], np.ndarray) and arguments[0].nbytes == 16
    assert [type(each) for each in arguments[1:]] == [np.uint32, np.int32]


def test_shared_memory_of_a_launch_is_asked_for_before_it(cupy):
    """CUDA grants a kernel more than 48 KiB only after an attribute of the function says so."""
    cupy()
    device = CupyDevice()
    assert (device.multiprocessors, device.shared) == (132, 232448)
    run = device.function(Source("good", "kernel"), "sweep")
    kernel = cupy_device._module(Source("good", "kernel")).kernel
    for shared in (1000, 200_000, 60_000):
        run(7, 128, np.zeros((), [("a", np.uint64)]), (), shared)
    assert [each[3] for each in kernel.calls] == [1000, 200_000, 60_000]
    assert kernel.max_dynamic_shared_size_bytes == 200_000


def test_buffers_go_up_and_down(cupy):
    cupy()
    device = CupyDevice()
    buffer = device.upload(np.arange(4.0))
    device.write(buffer, np.arange(4) + 1)
    assert device.download(buffer).tolist() == [1.0, 2.0, 3.0, 4.0]
    assert device.address(buffer) == buffer.ctypes.data
    assert device.room((2, 3), np.int8).shape == (2, 3)


def test_a_device_has_all_that_kernels_ask_of_it(cupy):
    """Nobody inherits `Device`: a name that only the host's device has would be found here."""
    cupy()
    device = CupyDevice()
    names = [*Device.__annotations__, *(n for n, f in vars(Device).items() if callable(f))]
    assert {"tensor_cores", "shared", "matmul"} <= set(names)
    for name in names:
        if not name.startswith("_"):
            assert getattr(device, name) is not None, name


@pytest.mark.parametrize("name", ["rbm", "sk", "ising_2d", "potts_machine", "hopfield", "ising_3d"])
def test_kernels_of_every_room_can_be_made_for_a_card(cupy, name):
    cupy()
    model = load_model(name)
    for chains in (1, 4096):
        plan = lower(model.hamiltonian, Options.of(model.params(), "heat-bath", chains))
        assert kernels_of(plan, CupyDevice()).plan is plan


def test_shared_memory_that_was_allowed_is_not_taken_back(cupy):
    """Two who launch one kernel with different sizes share what the driver was asked for."""
    cupy()
    source = Source("shared", "kernel")
    first, second = (CupyDevice().function(source, "sweep") for _ in range(2))
    kernel = cupy_device._module(source).kernel
    for run, shared in ((first, 130_000), (second, 20_000), (first, 130_000)):
        run(1, 32, np.zeros((), [("a", np.uint64)]), (), shared)
        assert kernel.max_dynamic_shared_size_bytes >= shared
