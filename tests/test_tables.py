"""Tables written to a pipe keep every character."""

from physebm.cli.tables import print_table


def test_nothing_is_cut_where_nobody_looks_at_a_terminal(capsys):
    long = "free energies: " + "stepping-stone, " * 20
    print_table(["task", "unit updates"], [[long, "2.10e+08"]])
    said = capsys.readouterr().out
    assert long.strip() in said and "2.10e+08" in said and "…" not in said
