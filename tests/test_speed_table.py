"""The table of the benchmark from lines as its processes print them: medians, ratios, floors, gaps."""

import sys
from pathlib import Path

import pytest

COMPARE = Path(__file__).parent / "perf" / "compare"
LIMITS = {"flops": 1e11, "bytes": 2e10, "words": 4e9}


@pytest.fixture(scope="module")
def table():
    names = ("summary", "floors", "works")
    sys.path.insert(0, str(COMPARE))
    try:
        import summary as table

        yield table
    finally:
        sys.path.remove(str(COMPARE))
        for name in names:
            sys.modules.pop(name, None)


def line(work, tool, seconds, **more):
    return {"work": work, "tool": tool, "seconds": seconds, "memory_mib": 100.0, "threads": 2, **more}


LINES = [
    *(line("sk256", "physebm", t, flips=0.25) for t in (4e-9, 2e-9, 3e-9)),
    *(line("sk256", "openjij", t, memory_mib=80.0 + t * 1e9) for t in (30e-9, 36e-9, 48e-9)),
    {"work": "sk256", "tool": "dwave", "missing": "dwave"},
    *(line("sk256", "numba", t) for t in (7e-9, 6e-9, 9e-9)),
    line("log_z", "physebm", 0.1, value=1.5),
    {"work": "log_z", "tool": "rbms", "failed": "out of memory"},
    line("study", "physebm", 40.0, share=0.825),
]


def test_records_hold_medians_over_rounds_ratios_and_floors(table):
    sk, log_z, study = table.records(LINES, LIMITS)
    tools = sk["tools"]
    assert tools["physebm"]["seconds"] == 3e-9
    assert (tools["physebm"]["least"], tools["physebm"]["most"]) == (2e-9, 4e-9)
    assert tools["openjij"]["ratio"] == pytest.approx(12.0)
    assert tools["numba"]["ratio"] == pytest.approx(7 / 3)
    assert tools["openjij"]["memory_mib"] == pytest.approx(128.0)
    assert tools["dwave"] == {"missing": "dwave"}
    # a quarter of the updates adds a row of 256 couplings, two flops each; every update draws a word
    floor = 0.25 * 2 * 256 / 1e11 + 1 / 4e9
    assert sk["floor_seconds"] == pytest.approx(floor)
    assert sk["of_the_floor"] == pytest.approx(floor / 3e-9)
    assert log_z["floor_seconds"] == pytest.approx(4 * 2**20 * 784 / 1e11)
    assert study["floor_seconds"] is None


def test_a_line_of_the_table_per_work(table):
    rows = table.markdown(table.records(LINES, LIMITS)).splitlines()
    assert len(rows) == 2 + 3
    cells = [cell.strip() for cell in rows[2].strip("|").split("|")]
    assert len(cells) == len(table.HEAD)
    peers = "OpenJij 0.028/ns (**12x**)<br>dwave-samplers not installed<br>numba 0.14/ns (2.3x)"
    assert cells[1:] == [
        "0.33/ns", peers, "12x OpenJij<br>3x numba", "0.65/ns", "51 %", "100 (128, -, 100)"
    ]  # fmt: skip
    assert "| 0.1 s | rbms failed | 5x rbms | 0.033 s | 33 % | 100 (-) |" in rows[3]
    assert "| 82 % of 40 s | - | 80 % | - | - | 100 |" in rows[4]


def test_every_work_but_the_study_has_a_floor(table):
    import floors
    import works

    assert set(works.WORKS) - set(floors.COUNTS) == {"study"}
    for work in floors.COUNTS:
        assert floors.floor_seconds(work, LIMITS, {"flips": 0.2}) > 0, work


def test_numbers_have_two_or_three_digits(table):
    assert [table._number(x) for x in (0.0512, 3.14, 12.34, 123.4)] == ["0.051", "3.1", "12.3", "123"]
