"""FASTA: alphabets, unknown letters, insertions, gaps."""

import gzip

import numpy as np
import pytest

from physebm.data.read import read_data
from physebm.errors import StudyFileError

TEXT = ">one some protein\nAC-\nDY\n>two>x\r\n-CWDY\r\n\n"


@pytest.fixture
def fasta(tmp_path):
    def write(text, name="a.fasta"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


def refused(path, *parts, **options):
    with pytest.raises(StudyFileError) as caught:
        read_data(path, where="s.toml: train.data", **options)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["a.fasta", "a.fa", "a.a3m.gz", "a.afa"])
def test_letters_become_places_in_the_alphabet(fasta, name):
    data = read_data(fasta(TEXT, name), alphabet="protein")
    assert data.alphabet == "-ACDEFGHIKLMNPQRSTVWY" and len(data.alphabet) == 21
    assert data.values.dtype == np.uint8
    assert data.values.tolist() == [[1, 2, 0, 3, 20], [0, 2, 19, 3, 20]]
    assert data.labels is None and data.attrs == {"sequences_read": 2}
    named = read_data(fasta(TEXT), alphabet="protein", labels="names")
    assert named.labels.tolist() == ["one some protein", "two>x"]


def test_every_letter_of_every_alphabet(fasta):
    for alphabet, letters in (("rna", "-ACGU"), ("dna", "-ACGT"), ("01X-", "01X-")):
        data = read_data(fasta(f">a\n{letters}\n"), alphabet=alphabet)
        assert data.values.tolist() == [list(range(len(letters)))] and data.alphabet == letters


def test_the_alphabet_has_to_be_named(fasta):
    refused(fasta(">a\nACGT\n"), "train.data.alphabet", "protein, rna, dna", "fit protein and dna")
    refused(fasta(">a\nACGU\n"), "the first sequences fit rna")
    for wrong in ("protien", "AA-", "A", 21, "A C", "-ACé"):
        refused(fasta(">a\nACGU\n"), "train.data.alphabet", "protein, rna, dna", alphabet=wrong)
    refused(fasta(">a\nACGU\n"), "did you mean protein?", alphabet="protien")


def test_unknown_letters(fasta):
    path = fasta(">a\nAC-\n>b\nAXB\n>c\nCCC\n")
    refused(path, "(a.fasta)", "'X' in sequence 2 (b), column 2", 'unknown = "gap"', alphabet="protein")
    as_gap = read_data(path, alphabet="protein", unknown="gap")
    assert as_gap.values.tolist() == [[1, 2, 0], [1, 0, 0], [2, 2, 2]]
    assert as_gap.attrs["letters_as_gaps"] == 2
    dropped = read_data(path, alphabet="protein", unknown="drop", labels="names")
    assert dropped.values.tolist() == [[1, 2, 0], [2, 2, 2]] and dropped.labels.tolist() == ["a", "c"]
    assert dropped.attrs == {"sequences_read": 3, "dropped_unknown": 1}
    refused(path, "train.data.unknown", "error, gap, drop", alphabet="protein", unknown="ignore")
    refused(
        fasta(">a\nXX\n"), "1 sequences, all dropped", "1 for letters", alphabet="rna", unknown="drop"
    )
    refused(fasta(">a\nACGU\n"), "'U'", 'all letters fit alphabet = "rna"', alphabet="dna")
    refused(fasta(">a\nAC\n"), "train.data.alphabet", "the gap -", alphabet="ACGT", unknown="gap")


def test_insertions_are_refused_or_removed(fasta):
    path = fasta(">a\nAC.D\n>b\nACkkD\n>c\nA-D\n")
    refused(path, "'.' in sequence 1 (a), column 3", 'inserts = "remove"', alphabet="protein")
    data = read_data(path, alphabet="protein", inserts="remove")
    assert data.values.tolist() == [[1, 2, 3], [1, 2, 3], [1, 0, 3]]
    refused(path, "train.data.inserts", alphabet="protein", inserts="keep")
    refused(fasta(">\nACk\n"), "'k' in sequence 1, column 3", alphabet="protein")


def test_sequences_with_many_gaps_are_dropped(fasta):
    path = fasta(">a\nACDE\n>b\nAC--\n>c\nA---\n")
    for limit, kept in ((0, 1), (0.5, 2), (0.74, 2), (0.75, 3), (1, 3)):
        data = read_data(path, alphabet="protein", max_gaps=limit)
        assert data.samples == kept and data.attrs["dropped_gaps"] == 3 - kept
    refused(fasta(">c\nA---\n"), "all dropped", "1 for too many gaps", alphabet="protein", max_gaps=0.2)
    for wrong in (1.5, -0.1, "0.2", True):
        refused(path, "train.data.max_gaps", "0 to 1", alphabet="protein", max_gaps=wrong)
    refused(fasta(">a\nAC\n"), "train.data.alphabet", alphabet="ACGT", max_gaps=0.5)


def test_unknown_letters_count_as_gaps_before_sequences_are_dropped(fasta):
    path = fasta(">a\nAXXX\n>b\nACDE\n")
    data = read_data(path, alphabet="protein", unknown="gap", max_gaps=0.5)
    assert data.values.tolist() == [[1, 2, 3, 4]]


def test_texts_that_are_no_alignment(fasta):
    refused(fasta("AC\n>a\nAC\n"), "does not begin with '>'", alphabet="dna")
    refused(fasta(""), "does not begin with '>'", alphabet="dna")
    refused(fasta(">a\nACG\n>b\nAC\n"), "2 columns in sequence 2 (b)", "3 columns", alphabet="dna")
    refused(fasta(">a\n\n>b\n\n"), "0 columns in sequence 1 (a)", alphabet="dna")
    refused(fasta(">a\nAC\n"), "train.data.labels", "names", alphabet="dna", labels="family")
