"""Tables written to a pipe keep every character."""

import re

from physebm.cli.tables import print_table


def test_nothing_is_cut_where_nobody_looks_at_a_terminal(capsys):
    long = "free energies: " + "stepping-stone, " * 20
    print_table(["task", "unit updates"], [[long, "2.10e+08"]])
    said = capsys.readouterr().out
    assert long.strip() in said and "2.10e+08" in said and "…" not in said


def test_numbers_are_whole_on_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    heads = [
        "task",
        "points",
        "lanes",
        "memory",
        "unit updates",
        "random words",
        "exact states",
        "time",
    ]
    row = [
        "free energies: mbar, bar",
        "3",
        "20",
        "1000.0 MiB",
        "3.68e+05",
        "3.68e+06",
        "1.57e+07",
        "9.1 s",
    ]
    print_table(heads, [row])
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert all(cell in said for cell in row[1:]) and max(map(len, said.splitlines())) <= 80, said
