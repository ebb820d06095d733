"""Compilers of CUDA C that need no device: NVRTC (of pip or of the system), nvcc with ptxas."""

import ctypes
import ctypes.util
import re
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

NVRTC_NAMES = ("libnvrtc.so.13", "libnvrtc.so.12")


@cache
def nvrtc() -> ctypes.CDLL | None:
    """The library NVRTC, of the package nvidia-cuda-nvrtc or of the system."""
    places = []
    spec = find_spec("nvidia")
    for folder in spec.submodule_search_locations if spec else ():
        places += sorted(Path(folder).glob("**/libnvrtc.so.*"))
    for name in (*map(str, places), *NVRTC_NAMES):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def compile_by_nvrtc(text: str, architecture: str, *more: str) -> str:
    """Compile to a cubin for ``sm_..``; returns the log, raises AssertionError with it on failure.

    Parameters
    ----------
    more
        Further options.
    """
    library, program = nvrtc(), ctypes.c_void_p()
    assert not library.nvrtcCreateProgram(
        ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None
    )
    options = [b"--std=c++17", f"--gpu-architecture={architecture}".encode(), *map(str.encode, more)]
    failed = library.nvrtcCompileProgram(
        program, len(options), (ctypes.c_char_p * len(options))(*options)
    )
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    cubin = ctypes.c_size_t()
    library.nvrtcGetCUBINSize(program, ctypes.byref(cubin))
    library.nvrtcDestroyProgram(ctypes.byref(program))
    told = log.value.decode()
    assert not failed and cubin.value > 1000, told
    return told


def nvcc() -> str | None:
    """The compiler driver, whose ptxas tells registers and spills."""
    return shutil.which("nvcc")


def resources(text: str, architecture: str, folder: Path) -> dict[str, tuple[int, int]]:
    """Registers and bytes spilled of every kernel, as ptxas reports them."""
    source, out = folder / "kernels.cu", folder / "kernels.cubin"
    source.write_text(text)
    command = [nvcc(), "-std=c++17", "-cubin", f"-arch={architecture}", "-Xptxas", "-v", "-o", str(out)]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return told_by_ptxas(done.stderr)


def compiled(text: str, architecture: str) -> dict[str, tuple[int, int]]:
    """As `resources`, of what NVRTC compiles, which is what a device runs; without any warning.

    Raises
    ------
    AssertionError
        with the compiler's log where it fails or warns.
    """
    log = compile_by_nvrtc(text, architecture, "--ptxas-options=-v")
    assert "warning" not in log, log
    return told_by_ptxas(log)


def told_by_ptxas(log: str) -> dict[str, tuple[int, int]]:
    """Registers and bytes spilled of every kernel of a verbose log."""
    found = {}
    for part in log.split("Compiling entry function")[1:]:
        name = re.search(r"'(\w+)'", part)[1]
        spilled = sum(map(int, re.findall(r"(\d+) bytes spill", part)))
        found[name] = int(re.search(r"Used (\d+) registers", part)[1]), spilled
    assert found, log
    return found
