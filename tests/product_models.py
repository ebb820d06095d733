"""Models with couplings between two groups, in the plans for many lanes."""

from many_lanes import for_lanes
from small_models import ZOO, Small, small

from physebm.lowering.layout import PLANE_LANES
from physebm.lowering.plan import Product

WITH_PRODUCTS = [n for n in ZOO if any(isinstance(read, Product) for read in small(n).plan.terms)]
# remainders in every direction: 67 = 32 + 32 + 3 sources, 33 = 32 + 1 columns
LARGE = {"rbm": {"Nv": 67, "Nh": 33}, "rbm_truncated_gaussian_hidden": {"Nv": 33, "Nh": 65}}


def many(name: str, instances: int = 1, temperatures=(1.0,), lanes: int = 500, **overrides) -> Small:
    """A small model with the plan for many lanes, by a matrix unit where there is one."""
    return for_lanes(small(name, "heat-bath", temperatures, instances, **overrides), lanes)


def by_subsets(name: str, *arguments, **overrides) -> Small:
    """A small model with the plan for as many lanes as take subset sums on every processor."""
    return many(name, *arguments, lanes=PLANE_LANES - 1, **overrides)
