"""The idx format of MNIST: a magic number, the sizes, then the numbers, all big-endian.

Magic: two zero bytes, the type (8 unsigned byte, 9 signed byte, 11 int16, 12 int32, 13 float32, 14
float64) and the number of axes; one uint32 per axis follows (Y. LeCun, C. Cortes, C. Burges, "The
MNIST database of handwritten digits"). ``train-images-idx3-ubyte.gz`` is ``[60000, 28, 28]``.
"""

from __future__ import annotations

import math

import numpy as np

from physebm.arrays import Array
from physebm.data.raw import Raw
from physebm.data.source_file import SourceFile
from physebm.errors import StudyFileError

_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(file: SourceFile, where: str, *, labels: str | None) -> Raw:
    """One array; `labels` names another idx file, relative to its folder."""
    values = _array(file)
    if labels is None:
        return Raw(values)
    if not isinstance(labels, str):
        raise StudyFileError(
            f"{where}.labels", got=labels, expected="an idx file, relative to the folder of the data"
        )
    return Raw(values, labels=_array(file.beside(labels, f"{where}.labels")))


def _array(file: SourceFile) -> Array:
    content = file.content()
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES or not content[3]:
        raise StudyFileError(
            file.inside,
            got=f"a file that begins with {content[:4].hex(' ') or 'nothing'}",
            expected="an idx file: 00 00, a type (08 for unsigned bytes), the number of axes",
        )
    kind, axes = np.dtype(_TYPES[content[2]]), content[3]
    start = 4 + 4 * axes
    sizes = np.frombuffer(content[4:start][: len(content[4:start]) // 4 * 4], ">u4").tolist()
    needed = start + math.prod(sizes) * kind.itemsize
    if len(sizes) < axes or len(content) != needed:
        raise StudyFileError(
            file.inside,
            got=f"{len(content)} bytes",
            expected=f"{needed} bytes for the sizes {sizes} that it announces"
            if len(sizes) == axes
            else f"the sizes of {axes} axes",
            hint="the file is cut short or damaged",
        )
    return np.frombuffer(content, kind, offset=start).reshape(sizes).copy()
