"""Sweeps by the matrix unit of a processor: parity with the reference, and when it is taken."""

import pytest
from many_lanes import assert_resumes
from parity_cases import agree
from product_models import LARGE, WITH_PRODUCTS, many
from small_models import small

from physebm.backends.numba_cpu.emit import emit
from physebm.backends.numba_cpu.tiles.emit import by_matrix_unit
from physebm.lowering.layout import PLANE_LANES, choose_layout
from physebm.lowering.plan import Product, read_text
from physebm.native import matrix_unit

unit = pytest.mark.skipif(not matrix_unit.is_allowed(), reason="no matrix unit")


def test_the_source_of_kernels_says_whether_the_unit_is_taken(monkeypatch):
    """So that code compiled where the unit was granted never runs where it is not."""
    model = many("rbm_gaussian_hidden")
    names = set()
    for allowed in (True, False):
        monkeypatch.setattr(matrix_unit, "is_allowed", lambda answer=allowed: answer)
        source = emit(model.plan)
        names.add(source.name)
        assert ("matrix_product" in source.text) == allowed
        assert ("subset_product" in source.text) == (not allowed)
    assert len(names) == 2


@unit
@pytest.mark.parametrize("name", WITH_PRODUCTS)
def test_sweeps_agree_with_the_reference(name):
    """One sweep at a time: words near a threshold are rarer than one in 1e6."""
    model = many(name, 2, (0.8, 1.5, 3.0), **LARGE.get(name, {}))
    agree(model.kernels(), model, model.lanes(90, seed=51, clamped=True), single=4, first=62)


@unit
def test_a_run_resumes_with_the_same_bits():
    model = many("rbm_truncated_gaussian_hidden", **LARGE["rbm_truncated_gaussian_hidden"])
    assert_resumes(model, model.lanes(70, seed=52))


def test_plans_say_from_how_many_lanes_on_the_unit_pays(monkeypatch):
    monkeypatch.setattr(matrix_unit, "is_allowed", lambda: True)
    for name in WITH_PRODUCTS:
        plan = small(name).plan
        few, enough = (choose_layout(plan, lanes) for lanes in (PLANE_LANES - 1, PLANE_LANES))
        assert few.kernel_key != enough.kernel_key
        assert not by_matrix_unit(few) and by_matrix_unit(enough)
        assert all("by planes" in read_text(r) for r in enough.terms if isinstance(r, Product))
