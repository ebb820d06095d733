"""What stands in a module, said at its top: parts of the hand-written library, and kernels.

Purposes are read where they are written: in the first sentence of a part, or above a kernel. A module
that is shown without the library includes its parts where they stand in what is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from textwrap import fill

from physebm.backends.cuda.emit import LIBRARY, library

FOLDER = "physebm/backends/cuda/library"
WIDTH = 104

_KERNEL = re.compile(
    r'((?:^//.*\n)*)^extern "C" __global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(', re.M
)
_COMMENT = re.compile(r"(?:^//.*\n)+", re.M)
_SENTENCE = re.compile(r"(.*?[^.])\.(?= |$)")  # two dots are a range


def with_index(text: str, with_library: bool) -> str:
    """A module behind one list of all parts of the library and all kernels.

    Without the library ``#include`` stands for each of its parts: a compiler that gets the folder in
    which the package stands by ``-I`` reads what is compiled here.
    """
    parts, short = parts_in(text), without_library(text)
    files = {f"{part}.cuh": purpose_of(part) for part in parts}
    kernels = {f"{part}.cuh": kernels_in(library(part)) for part in parts}
    kernels["this file"] = kernels_in(short)
    width = max(len(name) for names in (files, *kernels.values()) for name in names)
    shown = "all below" if with_library else "included below; --library prints it"
    lines = [f"Library, written by hand, in {FOLDER}, {shown}:", *_rows(files, width)]
    for file, purposes in kernels.items():
        if purposes:
            lines += [f"Kernels in {file}:", *_rows(purposes, width)]
    return f"{_comment(lines)}\n{text if with_library else short}"


def parts_in(text: str) -> list[str]:
    """Parts of the library in the text of a module, in their order."""
    found = {path.stem: text.find(path.read_text()) for path in LIBRARY.glob("*.cuh")}
    return sorted((part for part, at in found.items() if at >= 0), key=found.__getitem__)


def without_library(text: str) -> str:
    """The text of a module with ``#include`` in the place of each part of the library."""
    for part in parts_in(text):
        text = text.replace(library(part), f'#include "{FOLDER}/{part}.cuh"\n')
    return re.sub(r"^(#include .*\n)\n(?=#include)", r"\1", text, flags=re.M)


def purpose_of(part: str) -> str:
    """The first sentence of the first comment of a part of the library."""
    return _first_sentence(_COMMENT.search(library(part))[0])


def kernels_in(text: str) -> dict[str, str]:
    """Kernels of a module in their order, and the first sentence of what is said above each."""
    return {name: _first_sentence(comment) for comment, name in _KERNEL.findall(text)}


def _first_sentence(comment: str) -> str:
    told = " ".join(line.removeprefix("//").strip() for line in comment.splitlines())
    sentence = _SENTENCE.match(told)
    return f"{sentence[1]}." if sentence else told


def _rows(purposes: dict[str, str], width: int) -> Iterable[str]:
    """Names with their purposes beside them; what is long goes on below."""
    indent = 4 + width + 1
    for name, purpose in purposes.items():
        lines = fill(purpose, WIDTH - indent - 3).splitlines()
        yield f"    {name:<{width}} {lines[0]}"
        yield from (" " * indent + line for line in lines[1:])


def _comment(lines: Sequence[str]) -> str:
    return "".join(f"// {line}\n" for line in lines)
