"""The command line: help without heavy libraries, and words that mean what the compiler has."""

import subprocess
import sys

from click.testing import CliRunner

from physebm.cli import main
from physebm.lowering import pipeline
from physebm.schema.words import METHODS, STAGES

HEAVY = ("numpy", "scipy", "numba", "xarray", "matplotlib", "netCDF4", "msgspec", "rich")


def test_help_loads_no_heavy_library():
    code = (
        "import sys\nfrom physebm.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "physebm models" in done.stdout and done.stdout.splitlines()[-1] == "[]"


def test_every_command_explains_itself():
    for name in main.commands:
        said = CliRunner().invoke(main, [name, "--help"])
        assert said.exit_code == 0 and said.output.startswith("Usage: "), said.output


def test_methods_and_stages_that_are_offered_are_those_there_are():
    assert set(METHODS) == set(pipeline.METHODS)
    for words in [f"--method {m} --stage plan" for m in METHODS] + [f"--stage {s}" for s in STAGES]:
        said = CliRunner().invoke(main, ["show", "ising_2d", "--set", "L=4", *words.split()])
        assert said.exit_code == 0 and said.output, (words, said.output)


def test_plan_and_source_of_many_chains_are_those_of_their_layout():
    def shown(*words):
        said = CliRunner().invoke(main, ["show", *words])
        assert said.exit_code == 0, said.output
        return said.output

    potts = ("potts_machine", "--set", "L=6", "--set", "q=5")
    for model, one, many in (
        (("ising_2d",), "rows", "planes"),
        (("sk",), "rows", "vectors"),
        (potts, "rows", "gathers"),
    ):
        for chains, layout in ((1, one), (64, many)):
            plan = shown(*model, "--stage", "plan", "--chains", str(chains))
            assert f"lanes lie in {layout}" in plan and f"\n  {layout:<15} " in plan, plan
        sources = [shown(*model, "--stage", "numba", "--chains", str(n)) for n in (1, 64)]
        assert sources[0].splitlines()[0] != sources[1].splitlines()[0]
        assert "--chains 64" in sources[1] and "def sweep(" in sources[1]


def test_terms_of_strength_zero_are_said_to_be_left_out():
    said = CliRunner().invoke(main, ["show", "sk"]).output
    assert "terms[1], a field of s, is left out: its strength is h = 0" in said
    assert "is left out" not in CliRunner().invoke(main, ["show", "sk", "--set", "h=0.1"]).output
