import json
import os
import subprocess
import sys

import numpy as np
import pytest

from physebm.storage import provenance as provenance_module
from physebm.storage.provenance import canonical_json, git_commit, provenance, study_hash

STUDY = {"title": "t", "model": "sk", "seed": 1, "scan": {"temperature": [0.1, 0.2]}, "plot": {}}


def test_canonical_json_depends_on_values_not_on_order_or_container():
    assert canonical_json({"b": 1, "a": (1.5, np.float64(0.1))}) == '{"a":[1.5,0.1],"b":1}'
    assert canonical_json({"a": np.arange(2)}) == '{"a":[0,1]}'
    with pytest.raises(ValueError):
        canonical_json({"a": float("nan")})
    with pytest.raises(TypeError):
        canonical_json({1: 2})


def test_the_hash_covers_what_changes_numbers_and_nothing_else():
    reference = study_hash(STUDY, "model text")
    assert len(reference) == 64
    assert study_hash({**STUDY, "title": "other", "plot": {"x": 1}}, "model text") == reference
    assert study_hash(dict(reversed(STUDY.items())), "model text") == reference
    assert study_hash({**STUDY, "seed": 2}, "model text") != reference
    assert study_hash(STUDY, "another text") != reference
    # A published-algorithm cross-check: sha256 of the canonical text itself.
    text = '{"models":"m","study":{"seed":1}}'
    digest = subprocess.run(["sha256sum"], input=text.encode(), capture_output=True, check=True)
    assert study_hash({"seed": 1}, "m") == digest.stdout.split()[0].decode()


def test_the_record_is_flat_and_leaks_no_path():
    record = provenance(
        study=STUDY,
        study_text="seed = 1",
        models_text="m",
        seed=np.int64(1),
        command=["/somewhere/bin/physebm", "run", "a study.toml"],
        date="2025-01-01T00:00:00Z",
        seconds=1.5,
    )
    assert all(isinstance(value, str | int | float) for value in record.values())
    assert record["command"] == "physebm run 'a study.toml'"
    assert record["numpy_version"] == np.__version__ and record["seconds"] == 1.5
    assert json.loads(record["resolved_study"]) == STUDY
    assert record["study_hash"] == study_hash(STUDY, "m") and record["cpu_model"]
    text = " ".join(map(str, record.values()))
    assert os.getcwd() not in text and os.path.expanduser("~") + "/" not in text


def test_the_commit_is_a_hash_or_unknown():
    commit = git_commit().removesuffix("-dirty")
    assert commit == "unknown" or (len(commit) == 40 and int(commit, 16) >= 0)


@pytest.mark.parametrize(
    ("written", "commit"),
    [
        ({"url": "git+https://x", "vcs_info": {"vcs": "git", "commit_id": "a1" * 20}}, "a1" * 20),
        ({"url": "file:///home/someone/physebm", "dir_info": {}}, "unknown"),
        (None, "unknown"),
    ],
)
def test_the_commit_of_an_installed_copy_is_what_pip_wrote_down(tmp_path, monkeypatch, written, commit):
    held = tmp_path / "physebm-0.1.0.dist-info"
    held.mkdir()
    if written is not None:
        (held / "direct_url.json").write_text(json.dumps(written))
    copy = tmp_path / "physebm" / "storage" / "provenance.py"
    monkeypatch.setattr(provenance_module, "__file__", str(copy))
    assert git_commit() == commit


def test_checkpoints_and_provenance_need_no_xarray():
    code = (
        "import sys, physebm.storage.arrays_file, physebm.storage.provenance, "
        "physebm.storage.quantities; sys.exit('xarray' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
