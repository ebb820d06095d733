"""A file that holds data: found or refused, and unpacked where it is .gz or a .zip of one member."""

from __future__ import annotations

import difflib
import gzip
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from physebm.errors import StudyFileError, nearest

_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class SourceFile:
    """A file on disk and the name of what is in it.

    Attributes
    ----------
    path
        Where it is.
    name
        The name without the packing: of ``a.csv.gz`` it is ``a.csv``, of a zip that of its member.
    packing
        ``".gz"``, ``".zip"`` or nothing.
    where
        The key that gave the path, for errors.
    """

    path: Path
    name: str
    packing: str
    where: str

    @property
    def inside(self) -> str:
        """For errors about what the file holds: the key and the name."""
        return f"{self.where} ({self.path.name})"

    def content(self) -> bytes:
        """All bytes, unpacked.

        Raises
        ------
        StudyFileError
            where the file cannot be read, is cut short or is not what its suffix says.
        """
        try:
            if self.packing == ".gz":
                return self._gunzip()
            if self.packing == ".zip":
                with zipfile.ZipFile(self.path) as held:
                    return held.read(_member(held, self.path, self.where))
            return self.path.read_bytes()
        except EOFError:
            raise self.unreadable("the gzip stream ends too early: was the download cut off?") from None
        except (OSError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as problem:
            raise self.unreadable(str(problem)) from None

    def unreadable(self, hint: str) -> StudyFileError:
        """The error that says why the file cannot be used."""
        return StudyFileError(self.where, got=str(self.path), hint=hint)

    def beside(self, other: str, where: str) -> SourceFile:
        """Another file: relative to this one's folder unless absolute."""
        return find(self.path.parent / other, where)

    def _gunzip(self) -> bytes:
        packed = self.path.read_bytes()
        if not packed.startswith(_GZIP_MAGIC):
            raise self.unreadable(
                "the file is not gzip data; if it was unpacked already, take .gz off its name"
            )
        return gzip.decompress(packed)


def find(path: str | Path, where: str, readable: Collection[str] = ()) -> SourceFile:
    """The file at `path`.

    With `readable`, suffixes, only such files of the folder are named where there is none at `path`.

    Raises
    ------
    StudyFileError
        for no such file (with the nearest names of the folder), a folder, and a bad zip.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise StudyFileError(where, got=str(path), expected="a file", hint="this is a folder")
    if not path.is_file():
        raise _missing(path, where, readable)
    packing = path.suffix.lower()
    if packing == ".gz":
        return SourceFile(path, path.stem, packing, where)
    if packing != ".zip":
        return SourceFile(path, path.name, "", where)
    try:
        with zipfile.ZipFile(path) as held:
            return SourceFile(path, Path(_member(held, path, where)).name, packing, where)
    except (OSError, zipfile.BadZipFile) as problem:
        raise StudyFileError(where, got=str(path), hint=f"the zip cannot be read: {problem}") from None


def _member(held: zipfile.ZipFile, path: Path, where: str) -> str:
    """The one file in a zip; folders and the resource forks that macOS adds do not count."""
    names = [n for n in held.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
    if len(names) != 1:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise StudyFileError(
            where,
            got=f"{path.name} with {len(names)} files ({shown})",
            expected="a zip of one file",
            hint="unpack it and name the file itself",
        )
    return names[0]


def _missing(path: Path, where: str, readable: Collection[str]) -> StudyFileError:
    folder = path.parent
    if not folder.is_dir():
        return StudyFileError(where, got=str(path), hint=f"there is no folder {folder}")
    names = sorted(p.name for p in folder.iterdir() if p.is_file())
    if readable:
        names = [name for name in names if _unpacked(name).endswith(tuple(readable))]
    meant = nearest(path.name, names)
    near = difflib.get_close_matches(path.name, names, n=5, cutoff=0.4) or names[:5]
    if meant is not None:
        near = [meant, *(name for name in near if name != meant)][:5]
    searched = f"there is no file of this name in {folder.resolve()}"
    if readable and not near:
        searched += f", nor any that ends in {' or '.join(sorted(readable))}"
    return StudyFileError(where, got=path.name, expected=near or None, hint=searched)


def _unpacked(name: str) -> str:
    return name.lower().removesuffix(".gz").removesuffix(".zip")
