"""Paths that a user names: what stands there instead, and which files were meant.

A study is a .toml file, its result a .nc file; each is told from the other by its suffix.
"""

from __future__ import annotations

import re
from pathlib import Path

from physebm.errors import ResultFileError, StudyFileError, nearest

# More neighbours than these are no help.
MOST = 8
# What stands in a study and in no other TOML file of a project.
_STUDY = re.compile(r"^(model\s*=|\[+model\b|\[scan\])", re.MULTILINE)


def read_study_text(path: Path) -> str:
    """The text of a study file.

    Raises
    ------
    StudyFileError
        naming the studies beside it and in studies/, where there is no such file, or it is a result.
    """
    if path.is_dir():
        near = [each.name for each in _studies(path)]
        hint = "this is a folder; name the study file in it"
        expected = near[:MOST] or "a .toml file"
        raise StudyFileError(str(path), got="a folder", expected=expected, hint=hint)
    if not path.is_file():
        folders = [path.parent, Path("studies")]
        known = [each for folder in dict.fromkeys(folders) for each in _studies(folder)]
        raise StudyFileError(
            str(path), got=path.name, expected=_meant(path, known), hint="no such study file"
        )
    if path.suffix == ".nc":
        hint = (
            f"this is a result: `physebm status {path}` tells whose, `physebm plot {path}` draws it; "
            "a run takes the study that it came from"
        )
        raise StudyFileError(str(path), got="a .nc file", expected="a study, a .toml file", hint=hint)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise StudyFileError(str(path), hint=f"the file cannot be read: {problem}") from None


def check_result_path(path: str | Path) -> None:
    """Raise where a path is no result at all; what is in a .nc file is found out by reading it.

    Raises
    ------
    ResultFileError
        naming the results there are, where the file does not exist, or is a study.
    """
    path = Path(path)
    if path.suffix == ".toml" and path.is_file():
        own = Path("results") / f"{path.stem}.nc"
        there = own if own.exists() else f"{own}, once `physebm run {path}` has written it"
        raise ResultFileError(
            str(path), got="a study", expected="a result, a .nc file", hint=f"its result is {there}"
        )
    if not path.exists():
        folders = dict.fromkeys([path.parent, Path("results")])
        known = [each for folder in folders for each in sorted(folder.glob("*.nc"))]
        hint = "run the study first, or correct the name"
        raise ResultFileError(str(path), got="no such file", expected=_meant(path, known), hint=hint)


def _studies(folder: Path) -> list[Path]:
    """The study files of a folder; other TOML files (models.toml, pyproject.toml) are left out."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if _STUDY.search(text):
            found.append(path)
    return found


def _meant(path: Path, known: list[Path]) -> str | None:
    """Files that may have been meant: the nearest name anywhere first, then those of its own folder."""
    near = nearest(path.stem, [each.stem for each in known])
    meant = next((each for each in known if each.stem == near), None)
    own = [each.name for each in known if each.parent == path.parent and each != meant]
    if meant is not None:
        own.insert(0, meant.name if meant.parent == path.parent else str(meant))
    if not own:
        return None
    text = ", ".join(own[:MOST]) + (f" and {len(own) - MOST} more" if len(own) > MOST else "")
    return f"did you mean {own[0]}?   One of: {text}" if near else f"one of: {text}"
