"""Sequence weights against all pairs compared letter by letter."""

import numpy as np
import pytest

from physebm.data.dataset import DataSet
from physebm.data.weights import reweighted, sequence_weights
from physebm.errors import StudyFileError
from physebm.native import sequence_weights as native


def family(rng, n, columns, q, clusters):
    """Mutated copies of a few ancestors, some of them exact."""
    ancestors = rng.integers(0, q, size=(clusters, columns))
    x = ancestors[rng.integers(0, clusters, size=n)]
    rate = rng.choice([0.0, 0.05, 0.1, 0.2, 0.5], size=(n, 1))
    return np.where(rng.random(x.shape) < rate, rng.integers(0, q, size=x.shape), x).astype(np.uint8)


def by_pairs(x, identity):
    similar = (x[:, None] == x[None]).sum(axis=-1) >= identity * x.shape[1] - 1e-9
    return 1.0 / similar.sum(axis=1)


@pytest.mark.parametrize("columns", [1, 5, 8, 16, 53, 130])
@pytest.mark.parametrize("q", [2, 21, 256])
def test_all_pairs(columns, q):
    x = family(np.random.default_rng(columns + q), 150, columns, q, 6)
    for identity in (0.3, 0.5, 0.8, 0.9, 1.0):
        assert sequence_weights(x, identity).tolist() == by_pairs(x, identity).tolist()


def test_threads_share_the_pairs_without_a_trace(monkeypatch):
    x = family(np.random.default_rng(1), 300, 20, 5, 10)
    alone = sequence_weights(x)
    monkeypatch.setattr(native, "SERIAL_PAIRS", 1)
    monkeypatch.setattr(native.numba, "get_num_threads", lambda: 3)
    assert sequence_weights(x).tolist() == alone.tolist() == by_pairs(x, 0.8).tolist()


def test_the_threshold_itself_is_similar():
    """Four of five equal letters are an identity of exactly 0.8."""
    x = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 2, 1]], dtype=np.uint8)
    assert sequence_weights(x).tolist() == [1 / 2, 1 / 3, 1 / 2]
    for columns in range(2, 30):
        for equal in range(1, columns):
            pair = np.zeros((2, columns), dtype=np.uint8)
            pair[1, equal:] = 1
            assert sequence_weights(pair, equal / columns).tolist() == [0.5, 0.5]
            assert sequence_weights(pair, (equal + 0.01) / columns).tolist() == [1.0, 1.0]


def test_identical_sequences_share_one_vote():
    x = np.repeat(np.array([[0, 1, 2, 3], [3, 2, 1, 0]], dtype=np.uint8), [3, 1], axis=0)
    data = reweighted(DataSet(x, alphabet="-ACG", attrs={"sequences_read": 4}))
    assert data.weights.tolist() == [1 / 3, 1 / 3, 1 / 3, 1]
    assert data.effective_samples == pytest.approx(2, rel=1e-15)
    assert data.attrs["identity"] == 0.8 and data.attrs["sequences_read"] == 4
    assert data.alphabet == "-ACG"


def test_what_has_no_identity():
    x = np.zeros((3, 4), dtype=np.uint8)
    for wrong in (0, 1.1, -1, "0.8", True):
        with pytest.raises(StudyFileError, match=r"train\.data\.reweight"):
            sequence_weights(x, wrong)
    for values in (x + 0.5, x.astype(int) - 1, x.astype(int) + 256):
        with pytest.raises(StudyFileError, match="discrete states"):
            sequence_weights(values)
