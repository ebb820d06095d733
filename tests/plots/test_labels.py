"""Words beside axes, panels and lines."""

import xarray as xr

from physebm.plots.labels import common_label, distinct_labels, panel_title, wrapped


def named(*names, symbol="", units="1"):
    return [
        xr.DataArray(0.0, name="x", attrs={"long_name": name, "symbol": symbol, "units": units})
        for name in names
    ]


def test_quantities_share_the_words_that_all_begin_with_and_differ_in_the_rest():
    pair = named("score of the training data", "score of the test data", symbol="L", units="nat")
    assert common_label(pair) == "score $L$ [nat]"
    assert distinct_labels(pair) == ["training data", "test data"]
    strangers = named("error", "noise floor")
    assert common_label(strangers) == "error" and distinct_labels(strangers) == ["error", "noise floor"]
    inside = named("mean of the units", "mean of the units in the data")
    assert common_label(inside) == "mean of the units"
    assert distinct_labels(inside) == ["mean of the units", "in the data"]


def test_long_names_break_after_blanks_and_underscores_and_lose_no_letter():
    assert wrapped("rbm_truncated_gaussian_hidden", 20) == "rbm_truncated_\ngaussian_hidden"
    assert wrapped("Nh = 20, steps = 5", 10) == "Nh = 20,\nsteps = 5"
    assert wrapped("unbreakable", 3) == "unbreakable" and wrapped("", 5) == ""
    model = xr.DataArray("rbm_gaussian_hidden", name="model")
    assert panel_title(model, 1) == "model: rbm_gaussian_hidden"
    assert panel_title(model, 3) == "model: rbm_gaussian_\nhidden"
