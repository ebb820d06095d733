"""Where a training starts has random words of its own, whatever its arrays are called."""

import numpy as np

from physebm.schema.load import load
from physebm.schema.model_file import read_model

TABLE = {
    "parameters": {"N": 200},
    "units": {"s": {"prior": "ising", "shape": "N"}},
    "arrays": {
        "xi": {"law": "normal", "std": 1.0, "shape": [3, "N"], "trainable": True},
        "h": {"law": "normal", "std": 1.0, "shape": "N"},
    },
    "terms": [{"couple": ["s", "s"], "patterns": "xi"}, {"field": "s", "h": "h"}],
}


def test_trainable_arrays_start_from_other_words_than_a_teacher_of_that_name():
    loaded = load(read_model("m", TABLE, "m"))
    drawn, start = loaded.params(7), loaded.params(7, initial=True)
    one, other = drawn.arrays["xi"].ravel(), start.arrays["xi"].ravel()
    # 600 independent pairs: a correlation of 0.2 is 4.9 standard deviations
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.2
    assert np.array_equal(drawn.arrays["h"], start.arrays["h"])
    assert np.array_equal(start.arrays["xi"], loaded.params(7, initial=True).arrays["xi"])
