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
