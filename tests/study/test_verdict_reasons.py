"""Every distinct reason of a verdict once, with its first point and how many share it."""

import numpy as np

from physebm.storage.dataset import DONE, FAILED, summary_dataset
from physebm.storage.training import final_dataset, training_dataset
from physebm.study.verdict_reasons import CHAINS_ADVICE, MOST_REASONS, TAU_ADVICE, verdict_reasons


def sampled(verdict, messages, status=None):
    n = len(verdict)
    return summary_dataset(
        {"temperature": np.arange(1.0, n + 1)},
        {"energy": (np.zeros(n), np.ones(n), np.ones(n))},
        status=[DONE] * n if status is None else status,
        messages=np.array([""] * n, object),
        equilibration=verdict,
        equilibration_messages=np.array(messages, object),
    )


def test_reasons_that_differ_in_numbers_alone_are_one():
    texts = [
        "",
        "|m|: halves differ, p = 1e-07",
        "|m|: halves differ, p = 2.5e-06",
        "q2: nothing moved",
    ]
    assert verdict_reasons(sampled([0, 1, 1, 1], texts)) == [
        "suspect at temperature = 2: |m|: halves differ, p = 1e-07 (and 1 more point)",
        "suspect at temperature = 4: q2: nothing moved",
    ]
    assert verdict_reasons(sampled([0, 1, 2, 1], texts, [DONE, FAILED, DONE, FAILED])) == [
        "not equilibrated at temperature = 3: |m|: halves differ, p = 2.5e-06"
    ]


def test_the_commonest_are_told():
    texts = ["last", *"abcdef", "last"]
    lines = verdict_reasons(sampled([1] * 8, texts))
    assert len(lines) == MOST_REASONS + 1 and lines[0].endswith("= 1: last (and 1 more point)")
    assert lines[-1] == "suspect: 2 more points for other reasons, see `equilibration_message`"


def test_chains_of_trainings_give_their_reason_and_what_helps():
    histories = {
        "chain_verdict": np.array([[1], [0], [1]]),
        "chain_verdict_message": np.array([["off by 0.3"], ["fine"], ["off by 0.4"]], object),
        "chain_tau": np.ones((3, 1)),
        "chain_tau_reliable": np.array([[1], [1], [0]]),
    }
    axes = {"steps": [1, 2, 3]}
    ds = summary_dataset(axes, {}).merge(final_dataset(axes, training_dataset(axes, [5], histories)))
    reason, advice = verdict_reasons(ds)
    assert reason == "chains lagging at steps = 1: off by 0.3 (and 1 more training)"
    assert advice == f"{CHAINS_ADVICE}; {TAU_ADVICE}"
    assert verdict_reasons(ds.isel(steps=[0]))[1] == CHAINS_ADVICE
    assert verdict_reasons(ds.isel(steps=[1])) == []
