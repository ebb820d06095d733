"""What generated modules may call: the code of this folder and of `physebm.native`."""

from __future__ import annotations

from pathlib import Path

from physebm.native.kept import NATIVE, text_digest

CODE = Path(__file__).parent


def depends_on() -> tuple[str, ...]:
    """What the compiled code of a generated module depends on beside its text; see `Source.depends`."""
    return (text_digest(CODE, NATIVE),)
