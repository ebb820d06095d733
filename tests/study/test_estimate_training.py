"""`physebm estimate` of a study that trains: work counted exactly, time from a few updates."""

from physebm.study.estimate import estimate_study
from physebm.study.runner import open_study

STUDY = """
title = "estimate"
model = "rbm"
[set]
Nv = 64
Nh = 10
[scan.train]
method = ["pcd", "rdm"]
[train]
data = { source = "digits", binarise = 0.5 }
steps = 3
chains = 20
batch = 50
updates = 40
"""


def test_trainings_are_estimated_without_being_run(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(STUDY, encoding="utf-8")
    opened = open_study(path, out=tmp_path / "r.nc")
    rows = estimate_study(opened)
    assert [row.task for row in rows] == ["train0001", "train0002"]
    for row in rows:
        assert row.unit_updates == row.random_words == 40 * 3 * 20 * 74
        assert row.lanes == 20 and 0 < row.seconds < 60
        assert row.nbytes > 1797 * 64
    assert list(tmp_path.iterdir()) == [path]
