"""What a run ends with: who is counted, and which columns there are."""

import numpy as np

from physebm.storage.dataset import DONE, FAILED, summary_dataset
from physebm.storage.training import final_dataset, training_dataset
from physebm.study.run_summary import summary_tables, verdict_line


def sampled(status, verdict):
    n = len(status)
    energy = np.where(np.array(status) == DONE, np.arange(n), np.nan)
    return summary_dataset(
        {"temperature": np.arange(1.0, n + 1)},
        {"energy": (energy, np.full(n, 0.1), np.full(n, 2.0))},
        status=status,
        messages=np.array([""] * n, object),
        equilibration=verdict,
        equilibration_messages=np.array(["the two starts disagree"] * n, object),
    )


def test_points_without_a_result_are_not_counted_as_judged():
    line = verdict_line(sampled([DONE, FAILED, FAILED, DONE], [0, 0, 0, 2]))
    assert line.startswith("4 points, 2 without a result (see `message`); equilibrated 1, suspect 0, ")
    assert "not equilibrated 1, of which 2 because" in line


def test_one_point_is_one_point_with_one_column_of_values():
    ds = sampled([DONE], [0])
    assert verdict_line(ds).startswith("1 point; ")
    (table,) = summary_tables(ds, "a study")
    assert table.heads == ("observable", "value", "error", "longest tau")
    assert table.rows == (("energy", "0", "0.1", "2"),)
    (several,) = summary_tables(sampled([DONE, DONE], [0, 0]), "a study")
    assert several.heads == ("observable", "least", "greatest", "median error", "longest tau")
    assert several.rows == (("energy", "0", "1", "0.1", "2"),)


MEANT = "autocorrelation time of the chains [sweep]"


def trained():
    histories = {
        "chain_tau": np.array([[1.0, 2.0, 3.0], [1.0, 5.0, np.nan]]),
        "chain_tau_stderr": np.array([[0.1, 0.2, 0.3], [0.1, 0.5, np.nan]]),
        "chain_verdict": np.array([[3, 2, 0], [3, 1, 3]]),
        "chain_verdict_message": np.array([["", "far", ""], ["", "behind", ""]], object),
    }
    training = training_dataset({"steps": [1, 2]}, [0, 1, 2], histories)
    return summary_dataset({"steps": [1, 2]}, {}).merge(final_dataset({"steps": [1, 2]}, training))


def test_a_training_ends_with_the_verdict_on_its_chains_and_their_time():
    ds = trained()
    assert ds["chain_verdict_message"].values.tolist() == ["", "behind"]
    assert "2 points; chains at the last age: equilibrated 1, lagging 1, out of equilibrium 0" in (
        verdict_line(ds)
    )
    (table,) = summary_tables(ds, "a study")
    ((*row, meaning),) = table.rows
    assert row == ["chain_tau", "3", "5", "0.4"] and meaning == MEANT
    (one,) = summary_tables(ds.isel(steps=[0]), "a study")
    assert one.heads == ("quantity", "value", "error", "meaning")
    assert one.rows == (("chain_tau", "3", "0.3", MEANT),)


def test_samples_of_disorder_are_told_and_points_of_which_some_failed():
    def line(status, points=2):
        grid = np.zeros((points, 2))
        axes = {"temperature": np.arange(1.0, points + 1), "disorder": [0, 1]}
        return verdict_line(summary_dataset(axes, {"energy": (grid, None, None)}, status=status))

    each = "4 points (2 samples of disorder of each of 2; figures show their mean)"
    assert line([[DONE] * 2] * 2) == each
    assert line([[FAILED] * 2, [DONE] * 2]) == f"{each}, 2 without a result (see `message`)"
    assert line([[DONE] * 2, [FAILED, DONE]]).endswith(
        "; 1 point is a mean of fewer samples, temperature = 2.0: 1 of 2"
    )
    assert line([[DONE, FAILED], [FAILED, DONE]]).endswith(
        "; 2 points are means of fewer samples, first temperature = 1.0: 1 of 2"
    )


def test_a_lower_bound_of_a_time_is_marked_and_no_error_is_said_where_all_samples_were_taken():
    histories = {
        "pseudo_log_likelihood_test": np.array([[-3.0], [-2.0]]),
        "pseudo_log_likelihood_test_stderr": np.zeros((2, 1)),
        "chain_tau": np.array([[4.0], [9.0]]),
        "chain_tau_reliable": np.array([[0], [1]]),
    }
    axes = {"steps": [1, 2]}
    ds = summary_dataset(axes, {}).merge(final_dataset(axes, training_dataset(axes, [5], histories)))
    (table,) = summary_tables(ds, "a study")
    rows = {name: cells for name, *cells in table.rows}
    assert rows["chain_tau"][:2] == [">= 4", ">= 9"]
    assert rows["pseudo_log_likelihood_test"][:3] == ["-3", "-2", "all samples"]
    (other,) = summary_tables(ds.assign(chain_tau_reliable=("steps", [1, 0])), "a study")
    assert {name: cells[:2] for name, *cells in other.rows}["chain_tau"] == ["4", ">= 9"]
