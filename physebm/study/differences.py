"""Which keys two studies differ in: told where a result or work of another study is in the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physebm.errors import ResultFileError
from physebm.storage.dataset import record_of
from physebm.storage.netcdf import open_group, refuse_other_study
from physebm.storage.provenance import NO_NUMBERS, canonical_json

MOST = 3
LONGEST = 40


def refuse_other_result(
    out: Path, digest: str, keys: Mapping[str, Any] | None = None, *, asking: bool = False
) -> None:
    """Raise unless `out` is free or holds a result of this very study; the message names what differs.

    `asking`: nothing would be written, the question is only how far this study is.

    Raises
    ------
    ResultFileError
        with up to three keys of the two studies, the other's value first.
    """
    try:
        refuse_other_study(out, digest)
    except ResultFileError as problem:
        if "another study" not in str(problem.got):
            raise
        try:
            record = record_of(open_group(out, "/provenance"))
            held, command = json.loads(record["resolved_study"]), record.get("command", "")
        except (ResultFileError, ValueError, KeyError):
            held, command = None, ""
        todo = (
            "nothing was overwritten; choose another --out, or move the file away (--restart "
            "replaces results of the same study only)"
        )
        if asking:
            todo = f"ask with the --set of its run, or for `physebm status {out}`"
            todo += f"; it was written by: {command}" if command else ""
        raise ResultFileError(
            problem.where,
            got=problem.got,
            expected=problem.expected,
            hint=f"{told_differences(held, keys)}{todo}",
        ) from None


def told_differences(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    """``"changed: KEY = OLD -> NEW, ...; "``: at most three keys that change numbers, "" if unknown."""
    if old is None or new is None:
        return ""
    one, two = (_flat({k: v for k, v in each.items() if k not in NO_NUMBERS}) for each in (old, new))
    changed = [key for key in dict.fromkeys([*two, *one]) if one.get(key) != two.get(key)]
    if not changed:
        return "the same keys, but another model or other data; "
    shown = [f"{key} = {_shown(one, key)} -> {_shown(two, key)}" for key in changed[:MOST]]
    more = f", and {len(changed) - MOST} more" if len(changed) > MOST else ""
    return f"changed: {', '.join(shown)}{more}; "


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted key -> value as JSON, from nested tables."""
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = canonical_json(value)
    return found


def _shown(values: Mapping[str, str], key: str) -> str:
    text = values.get(key, "not set")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
