"""What README promises: its code runs, its commands exist, its two set-up lines are the real ones."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from physebm.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
SET_UP = [text.strip() for kind, text in BLOCKS if not kind and text.startswith("python3 -m venv")]


def commands():
    """Every command line in README: in backticks or in a block, with or without the word physebm."""
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", README, flags=re.M | re.S))
    found = [text.removeprefix("physebm ") for text in inline if text.startswith("physebm ")]
    found += [text for text in inline if text.split()[0] in main.commands and " " in text]
    for line in SET_UP:
        found += re.findall(r"bin/physebm (.*)", line)
    return found


def test_readme_names_every_command():
    assert {line.split()[0] for line in commands()} >= set(main.commands)


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_command_of_readme_exists_with_its_options(line):
    name, *words = line.split()
    assert name in main.commands, line
    known = {flag for parameter in main.commands[name].params for flag in parameter.opts}
    for word in words:
        if word.startswith("--"):
            assert word in known, f"{line}: {word}"
        if word.endswith(".toml"):
            assert (ROOT / word).is_file(), f"{line}: {word}"
    for option in re.findall(r"`(--[a-z-]+)", README):
        assert any(option in p.opts for c in main.commands.values() for p in c.params), option


def test_the_python_of_readme_runs_and_gives_what_it_says():
    blocks = [text for kind, text in BLOCKS if kind == "python"]
    assert blocks
    names = {}
    for text in blocks:
        exec(compile(text, "README.md", "exec"), names)
    result = names["result"]
    assert np.isfinite(result.energy).all() and (result.energy_stderr > 0).all()
    assert result.energy.dims == ("temperature",)
    learned = names["history"].log_likelihood_train.values
    assert learned[-1] > learned[0]
    assert names["scores"].log_likelihood.mean() == pytest.approx(learned[-1], abs=1e-9)
    assert names["samples"].shape == (100, 6)
    assert names["samples"].mean(axis=0)[3:5].max() < 0.1


def test_names_of_physebm_in_readme_exist():
    import physebm

    for name in set(re.findall(r"\bphysebm\.(\w+)", README)) - {"toml"}:
        assert hasattr(physebm, name), name


def test_two_lines_set_everything_up_and_ci_runs_the_second():
    first, second = SET_UP
    assert "install ." in first and "physebm run studies/hopfield_phase.toml" in first
    assert ".[test]" in second and "-m pytest" in second
    assert all("\n" not in line for line in SET_UP)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    chosen = re.search(r"command=\$\((grep .* README\.md)\)", script)[1]
    done = subprocess.run(["bash", "-c", chosen], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == second
    assert 'eval "$command"' in script


def test_files_that_readme_links_to_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_models_that_readme_counts_are_those_that_ship():
    from physebm.study.models import models_of

    count = re.search(r"the (\d+) models that ship", README)[1]
    assert int(count) == len(models_of())
