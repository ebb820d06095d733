"""Alignments in FASTA, as numbers: a letter is stored as its place in the alphabet, the gap as 0.

Alphabets: ``protein`` is ``-ACDEFGHIKLMNPQRSTVWY`` (q = 21), ``rna`` ``-ACGU`` and ``dna`` ``-ACGT``
(q = 5), or any string of distinct letters, gap first by custom. It has to be named: the letters of a
DNA alignment are all legal amino acids too.

In the dialects a2m and a3m lower-case letters are insertions relative to the alignment's columns,
and dots their gaps: ``inserts = "remove"`` takes them out, by default they are refused.
"""

from __future__ import annotations

import string

import numpy as np

from physebm.arrays import Array
from physebm.data.raw import Raw
from physebm.data.source_file import SourceFile
from physebm.errors import StudyFileError

ALPHABETS = {"protein": "-ACDEFGHIKLMNPQRSTVWY", "rna": "-ACGU", "dna": "-ACGT"}
UNKNOWN = ("error", "gap", "drop")
INSERTS = ("error", "remove")
GAP = "-"

_INSERT = (string.ascii_lowercase + ".").encode()
_NO_LETTER = 255


def read_fasta(
    file: SourceFile,
    where: str,
    *,
    alphabet: str | None,
    unknown: str | None,
    inserts: str | None,
    max_gaps: float | None,
    labels: str | None,
) -> Raw:
    """Places in the alphabet ``[sequence, column]`` (uint8) and what was dropped, in `attrs`.

    Parameters
    ----------
    alphabet
        ``protein``, ``rna``, ``dna`` or the letters themselves; required.
    unknown
        What to do with a letter outside the alphabet: ``error`` (the default), count it as a
        ``gap``, or ``drop`` the sequence.
    inserts
        ``remove`` lower-case letters and dots, or refuse them as an ``error`` (the default).
    max_gaps
        Sequences with a larger fraction of gaps are dropped.
    labels
        ``"names"`` keeps the names of the sequences as labels.

    Raises
    ------
    StudyFileError
        naming the sequence and the column, both counted from 1.
    """
    names, sequences = _records(file)
    letters = _letters(alphabet, sequences, where)
    unknown = _one_of(unknown or "error", UNKNOWN, f"{where}.unknown")
    inserts = _one_of(inserts or "error", INSERTS, f"{where}.inserts")
    if labels is not None:
        _one_of(labels, ("names",), f"{where}.labels")
    if GAP not in letters and (unknown == "gap" or max_gaps is not None):
        raise StudyFileError(
            f"{where}.alphabet", got=letters, expected=f"an alphabet with the gap {GAP}"
        )
    if inserts == "remove":
        sequences = [s.translate(None, _INSERT) for s in sequences]
    else:
        _refuse_inserts(names, sequences, file.inside)
    x = _encode(names, sequences, letters, file.inside)
    attrs = {"sequences_read": len(x)}
    keep = np.ones(len(x), dtype=bool)
    strange = x == _NO_LETTER
    if unknown == "error":
        _refuse_unknown(strange, names, sequences, letters, file.inside)
    elif unknown == "gap":
        x[strange] = letters.index(GAP)
        attrs["letters_as_gaps"] = int(strange.sum())
    else:
        keep &= ~strange.any(axis=1)
        attrs["dropped_unknown"] = int(len(x) - keep.sum())
    if max_gaps is not None:
        gappy = _gap_fraction(x, letters) > _fraction(max_gaps, f"{where}.max_gaps")
        attrs["dropped_gaps"] = int((keep & gappy).sum())
        keep &= ~gappy
    if not keep.any():
        raise StudyFileError(file.inside, got=f"{len(x)} sequences, all dropped", hint=_why(attrs))
    kept_names = np.array(names)[keep] if labels else None
    return Raw(x[keep], labels=kept_names, alphabet=letters, attrs=attrs)


def _records(file: SourceFile) -> tuple[list[str], list[bytes]]:
    content = file.content().replace(b"\r", b"\n").strip()
    if not content.startswith(b">"):
        raise file.unreadable("the file does not begin with '>': this is no FASTA")
    names, sequences = [], []
    for record in content[1:].split(b"\n>"):
        head, _, body = record.partition(b"\n")
        names.append(head.decode("utf-8", "replace").strip())
        sequences.append(b"".join(body.split()))
    return names, sequences


def _letters(alphabet: str | None, sequences: list[bytes], where: str) -> str:
    if isinstance(alphabet, str) and alphabet in ALPHABETS:
        return ALPHABETS[alphabet]
    where = f"{where}.alphabet"
    if alphabet is None:
        found = set(b"".join(sequences[:100]).decode("latin-1").upper())
        fits = [name for name, letters in ALPHABETS.items() if found <= set(letters)]
        hint = f"the letters of the first sequences fit {' and '.join(fits)}" if fits else None
        raise StudyFileError(
            where, expected=f"{', '.join(ALPHABETS)}, or the letters themselves", hint=hint
        )
    distinct = isinstance(alphabet, str) and len(set(alphabet)) == len(alphabet) >= 2
    if not distinct or not alphabet.isascii() or alphabet != alphabet.upper() or " " in alphabet:
        raise StudyFileError(
            where,
            got=alphabet,
            expected=ALPHABETS,
            hint="or at least two distinct capital letters or signs, the gap included",
        )
    return alphabet


def _one_of(value: str, legal: tuple[str, ...], where: str) -> str:
    if value not in legal:
        raise StudyFileError(where, got=value, expected=legal)
    return value


def _fraction(value: float, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise StudyFileError(where, got=value, expected="a fraction from 0 to 1")
    return value


def _named(names: list[str], i: int) -> str:
    return f"sequence {i + 1} ({names[i][:40]})" if names[i] else f"sequence {i + 1}"


def _refuse_inserts(names: list[str], sequences: list[bytes], where: str) -> None:
    for i, s in enumerate(sequences):
        if len(s.translate(None, _INSERT)) < len(s):
            column = next(c for c, letter in enumerate(s) if letter in _INSERT)
            raise StudyFileError(
                where,
                got=f"'{chr(s[column])}' in {_named(names, i)}, column {column + 1}",
                expected="capital letters and gaps",
                hint='lower case and dots are insertions (a2m, a3m): inserts = "remove" takes them out',
            )


def _encode(names: list[str], sequences: list[bytes], letters: str, where: str) -> Array:
    """Places in the alphabet ``[sequence, column]``; 255 for other letters."""
    width = len(sequences[0])
    for i, s in enumerate(sequences):
        if len(s) != width or not s:
            raise StudyFileError(
                where,
                got=f"{len(s)} columns in {_named(names, i)}",
                expected=f"{width} columns, as in {_named(names, 0)}"
                if width
                else "an aligned sequence",
                hint="the sequences of an alignment have one length",
            )
    places = np.full(256, _NO_LETTER, dtype=np.uint8)
    places[np.frombuffer(letters.encode(), np.uint8)] = np.arange(len(letters), dtype=np.uint8)
    return places[np.frombuffer(b"".join(sequences), np.uint8)].reshape(len(sequences), width)


def _refuse_unknown(strange: Array, names, sequences, letters: str, where: str) -> None:
    if not strange.any():
        return
    i, column = (int(k) for k in np.unravel_index(int(strange.argmax()), strange.shape))
    fits = [
        name
        for name, other in ALPHABETS.items()
        if other != letters and set(b"".join(sequences).decode("latin-1")) <= set(other)
    ]
    hint = 'unknown = "gap" counts such letters as gaps, unknown = "drop" leaves such sequences out'
    raise StudyFileError(
        where,
        got=f"'{chr(sequences[i][column])}' in {_named(names, i)}, column {column + 1}",
        expected=f"a letter of {letters}",
        hint=f'all letters fit alphabet = "{fits[0]}"' if fits else hint,
    )


def _gap_fraction(x: Array, letters: str) -> Array:
    return (x == letters.index(GAP)).mean(axis=1)


def _why(attrs: dict[str, int]) -> str:
    reasons = {"dropped_unknown": "letters outside the alphabet", "dropped_gaps": "too many gaps"}
    return "; ".join(f"{attrs[key]} for {why}" for key, why in reasons.items() if attrs.get(key))
