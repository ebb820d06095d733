import numpy as np
import pytest

from physebm.errors import InputError
from physebm.storage.dataset import (
    record_dataset,
    record_of,
    series_dataset,
    summary_dataset,
    tempering_dataset,
)
from physebm.storage.quantities import QUANTITIES, quantity

AXES = {"L": [4, 8], "start": ["pattern", "random"], "disorder": [0, 1, 2], "temperature": [0.5, 2.0]}
GRID = (2, 2, 3, 2)


def estimates():
    base = np.arange(24.0).reshape(GRID)
    return {
        "energy": (base, base / 10, base + 1),
        "binder": (np.ones((2, 2, 2)), np.zeros((2, 2, 2)), None),
        "overlap_distribution": (np.ones((*GRID, 5)), None, None),
    }


def test_every_reported_name_of_the_conventions_is_described():
    names = """energy specific_heat specific_heat_within_chains magnetisation abs_magnetisation
    susceptibility binder pattern_overlap retrieval_overlap max_pattern_overlap replica_overlap
    q_edwards_anderson
    replica_overlap_squared overlap_distribution binder_overlap sg_susceptibility
    correlation_length_over_L log_z log_likelihood free_energy entropy swap_acceptance round_trips
    barrier""".split()
    for name in names:
        row = quantity(name)
        assert row.name == name
        assert row.long_name and row.definition and row.symbol and row.normalisation and row.units


def test_ratios_of_disorder_averages_have_no_disorder_axis():
    averages = {name for name, row in QUANTITIES.items() if row.disorder == "disorder average"}
    assert averages == {"binder", "binder_overlap", "sg_susceptibility", "correlation_length_over_L"}
    assert quantity("binder").axes(AXES) == ("L", "start", "temperature")
    assert quantity("pattern_overlap").axes(["disorder"]) == ("disorder", "pattern")
    assert quantity("swap_acceptance").axes(["L", "temperature"]) == ("L", "gap")


def test_a_misspelt_quantity_names_the_nearest():
    with pytest.raises(InputError, match="did you mean specific_heat"):
        quantity("specific_heats")


def test_scan_axes_are_dimensions_in_declared_order_with_beta_beside_temperature():
    ds = summary_dataset(AXES, estimates(), title="t")
    assert ds["energy"].dims == tuple(AXES)
    assert ds["binder"].dims == ("L", "start", "temperature")
    assert ds["overlap_distribution"].dims == (*AXES, "overlap")
    assert list(ds["start"].values) == ["pattern", "random"]
    np.testing.assert_array_equal(ds["beta"], [2.0, 0.5])
    assert ds["beta"].dims == ("temperature",)
    assert ds["energy"].sel(L=8, start="random", disorder=2, temperature=2.0) == 23.0


def test_errors_and_times_stand_beside_the_value_with_their_attributes():
    ds = summary_dataset(AXES, estimates(), attrs={"energy": {"note": "n"}})
    assert ds["energy_stderr"].dims == ds["energy_tau"].dims == ds["energy"].dims
    assert "overlap_distribution_stderr" not in ds and "binder_tau" not in ds
    assert ds["energy_tau"].attrs["units"] == "sweep"
    attrs = ds["energy"].attrs
    assert {"long_name", "units", "definition", "normalisation", "symbol"} <= set(attrs)
    assert attrs["note"] == "n" and attrs["disorder"] == "per disorder sample"


def test_status_and_verdict_are_flags_with_meanings():
    status = np.zeros(GRID, dtype=int)
    status[0, 0, 0, 0] = 1
    messages = np.full(GRID, "", dtype=object)
    messages[0, 0, 0, 0] = "diverged"
    ds = summary_dataset(AXES, {}, status=status, messages=messages, equilibration=np.full(GRID, 2))
    assert ds["status"].dtype == ds["equilibration"].dtype == np.int8
    np.testing.assert_array_equal(ds["status"].attrs["flag_values"], [0, 1, 2])
    assert ds["status"].attrs["flag_meanings"] == "done failed not_run"
    assert ds["equilibration"].attrs["flag_meanings"] == "equilibrated suspect not_equilibrated"
    assert ds["message"].values[0, 0, 0, 0] == "diverged" and ds["message"].values[1, 1, 1, 1] == ""
    with pytest.raises(ValueError, match="none of 0 to 2"):
        summary_dataset(AXES, {}, status=np.full(GRID, 3))


def test_a_wrong_shape_says_which_was_expected():
    with pytest.raises(ValueError, match=r"binder has shape .* expected \(L: 2, start: 2, temp"):
        summary_dataset(AXES, {"binder": (np.ones(GRID), None, None)})


def test_a_coordinate_may_differ_from_point_to_point():
    values = np.array([[-1.0, 0, 1, np.nan, np.nan], [-1, -0.5, 0, 0.5, 1]])
    ds = summary_dataset(AXES, estimates(), coords={"overlap_value": (("L", "overlap"), values)})
    assert ds["overlap_value"].dims == ("L", "overlap")
    assert ds["overlap_value"].attrs["symbol"] == "q"


def test_series_have_chain_and_draw_and_tempering_has_no_temperature():
    axes = {"L": [4, 8]}
    series = series_dataset(axes, {"energy": np.zeros((2, 3, 4))}, [10, 20, 30, 40])
    assert series["energy"].dims == ("L", "chain", "draw")
    assert series["draw"].attrs["units"] == "sweep"
    with pytest.raises(ValueError, match="expected"):
        series_dataset(axes, {"energy": np.zeros((2, 3, 5))}, [10, 20, 30, 40])
    ladder = tempering_dataset(
        {**axes, "temperature": [1.0, 2.0]},
        {"swap_acceptance": np.ones((2, 5)), "barrier": np.ones(2)},
    )
    assert ladder["swap_acceptance"].dims == ("L", "gap") and ladder["barrier"].dims == ("L",)


def test_a_record_comes_back_as_it_was():
    record = {"a": "text", "b": True, "c": np.int64(3), "d": 2.5, "e": np.arange(3), "f": "u é"}
    back = record_of(record_dataset(record))
    assert back["b"] is True and back["a"] == "text" and back["f"] == "u é"
    assert back["c"] == 3 and back["d"] == 2.5
    np.testing.assert_array_equal(back["e"], [0, 1, 2])
