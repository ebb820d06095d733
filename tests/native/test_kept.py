"""Compiled functions that are kept between runs: never longer than what they were made of."""

import os
import subprocess
import sys

import pytest

from physebm.native.kept import NATIVE, kept_njit, text_digest


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PHYSEBM_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    text_digest.cache_clear()
    yield tmp_path
    text_digest.cache_clear()


CALLER = """
from pathlib import Path
from called_here import called
from physebm.native.kept import kept_njit

@kept_njit(Path(__file__).parent)
def caller(x):
    return called(x)

print(caller(5), *caller.stats.cache_hits.values())
"""


def test_a_function_is_compiled_anew_when_one_that_it_calls_has_changed(folder):
    def run(factor):
        text = f"from numba import njit\n\n@njit\ndef called(x):\n    return {factor} * x\n"
        (folder / "called_here.py").write_text(text)
        found = subprocess.run(
            [sys.executable, "-B", folder / "caller.py"], capture_output=True, text=True, check=True
        )
        return [int(word) for word in found.stdout.split()]

    (folder / "caller.py").write_text(CALLER)
    assert run(2) == [10]
    assert run(2) == [10, 1]
    assert run(3) == [15]
    assert run(2) == [10, 1]


def test_the_text_of_all_modules_counts(tmp_path):
    (tmp_path / "a.py").write_text("1")
    before = text_digest(tmp_path)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "b.py").write_text("2")
    text_digest.cache_clear()
    with_inner = text_digest(tmp_path)
    (tmp_path / "inner" / "b.py").rename(tmp_path / "inner" / "c.py")
    text_digest.cache_clear()
    assert len({before, with_inner, text_digest(tmp_path), text_digest(tmp_path, NATIVE)}) == 4
    text_digest.cache_clear()


def test_where_nothing_can_be_written_functions_work_all_the_same(folder, monkeypatch):
    (folder / "a_file").write_text("")
    monkeypatch.setenv("PHYSEBM_CACHE", str(folder / "a_file"))

    @kept_njit(nogil=True)
    def doubled(x):
        return 2 * x

    assert doubled(4) == 8
    assert (folder / "a_file").read_text() == ""


def test_without_a_compiler_the_message_says_what_to_do():
    command = [sys.executable, "-m", "physebm", "check", "ising_chain"]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert found.returncode == 1
    assert "unset NUMBA_DISABLE_JIT" in found.stderr and "Traceback" not in found.stderr
