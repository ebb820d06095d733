"""What stands in a long module, said at its top: parts of the library, and kernels.

Purposes are read where they are written: the first line of a part, and the first sentence of the
comment above a kernel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from physebm.backends.cuda.emit import library

_KERNEL = re.compile(
    r'((?:^//.*\n)*)^extern "C" __global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(', re.M
)
_SENTENCE = re.compile(r"(.*?[^.])\.(?= |$)")  # two dots are a range


def with_index(parts: Sequence[str], text: str) -> str:
    """The text of a module behind a list of the parts of the library in it, and of its kernels."""
    lines = ["// Parts of the library in this file:"]
    lines += [f"//     {part:<16} {purpose_of(part)}" for part in parts]
    lines.append("// Kernels:")
    lines += [f"//     {name:<16} {purpose}" for name, purpose in kernels_in(text).items()]
    return "\n".join([*lines, "", text])


def purpose_of(part: str) -> str:
    """The first line of a part of the library."""
    return library(part).split("\n", 1)[0].removeprefix("// ")


def kernels_in(text: str) -> dict[str, str]:
    """Kernels of a module in their order, and the first sentence of what is said above each."""
    found = {}
    for comment, name in _KERNEL.findall(text):
        told = " ".join(line.removeprefix("//").strip() for line in comment.splitlines())
        sentence = _SENTENCE.match(told)
        found[name] = f"{sentence[1]}." if sentence else told
    return found
