"""The end of a run with [free_energy]: no method and no verdict goes unmentioned."""

import numpy as np

from physebm.storage.free_energy import free_energy_dataset
from physebm.study.estimator_summary import estimator_reasons, estimator_table


def group(axes, log_z, verdict, reasons):
    log_z = np.array(log_z, float)
    values = {
        "log_z": log_z,
        "log_z_stderr": np.where(np.isnan(log_z), np.nan, 0.25),
        "verdict": np.array(verdict),
        "verdict_message": np.array(reasons, object),
    }
    return free_energy_dataset(axes, ["exact", "ais"], values, {})


def test_every_method_has_a_row_and_the_first_reason_of_each_verdict():
    held = group(
        {"temperature": [0.5, 1.0, 2.0]},
        [[3.0, 2.0], [4.0, 3.5], [5.0, np.nan]],
        [[0, 2], [0, 1], [0, 3]],
        [["", "few weights"], ["", "reverse"], ["", ""]],
    )
    table = estimator_table(held)
    counted = ("trusted", "suspect", "failed", "not run")
    assert table.heads == ("method", "least", "greatest", "median error", *counted)
    assert table.rows[0] == ("exact", "3", "5", "0.25", "3", "0", "0", "0")
    assert table.rows[1] == ("ais", "2", "3.5", "0.25", "0", "1", "1", "1")
    assert estimator_reasons(held) == [
        "ais suspect at temperature = 1.0: reverse",
        "ais failed at temperature = 0.5: few weights",
        "ais not run at temperature = 2.0: no result, see `message`",
    ]


def test_one_point_has_values_and_no_place():
    held = group({}, [3.0, 2.0], [0, 2], ["", "few weights"])
    table = estimator_table(held)
    assert table.heads == ("method", "log_z", "error", "trusted", "suspect", "failed")
    assert table.rows[1] == ("ais", "2", "0.25", "0", "0", "1")
    assert estimator_reasons(held) == ["ais failed: few weights"]
    several = group({"L": [1, 2]}, [[3.0, 2.0]] * 2, [[0, 2]] * 2, [["", "few weights"]] * 2)
    assert estimator_reasons(several) == ["ais failed at L = 1: few weights (and 1 more point)"]
