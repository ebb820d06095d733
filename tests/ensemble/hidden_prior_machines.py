"""Two layers of any two priors, declared as a model file would declare them."""

from __future__ import annotations

from functools import cache

from small_models import Small, bound

from physebm.schema.load import Loaded, load
from physebm.schema.model_file import read_model

VISIBLE = ("bernoulli", "ising", "gaussian", "potts")
HIDDEN = ("bernoulli", "ising", "gaussian", "truncated_gaussian", "potts")
Q = 3


def unit(name: str, prior: str, size: int, visible: bool, lower: float) -> dict:
    declared = {"prior": prior, "shape": size, "visible": visible}
    if prior == "potts":
        declared["q"] = Q
    if "gaussian" in prior:
        declared["variance"] = f"{name}_variance"
    if prior == "truncated_gaussian":
        declared["lower"] = lower
    return declared


@cache
def machine(
    visible: str,
    hidden: str,
    Nv: int,
    Nh: int,
    *,
    coupling: float = 0.6,
    field: float = 0.5,
    variance: float = 1.0,
    lower: float = 0.0,
) -> Loaded:
    """``H = - sum W v h - sum a v - sum b h`` with normal W, a, b."""
    states = [Q] * [visible, hidden].count("potts")
    fields = {name: [Q] if prior == "potts" else [] for name, prior in (("v", visible), ("h", hidden))}
    # as arrays, so that the structures are those of machines that learn their variances
    variances = {
        f"{name}_variance": {"values": [variance] * size}
        for name, prior, size in (("v", visible, Nv), ("h", hidden, Nh))
        if "gaussian" in prior
    }
    return load(
        read_model(
            f"{visible}_{hidden}",
            {
                "title": f"{visible} units coupled to {hidden} units",
                "units": {
                    "v": unit("v", visible, Nv, True, lower),
                    "h": unit("h", hidden, Nh, False, lower),
                },
                "arrays": {
                    "W": {"law": "normal", "std": coupling, "shape": [Nv, Nh, *states]},
                    "a": {"law": "normal", "std": field, "shape": [Nv, *fields["v"]]},
                    "b": {"law": "normal", "std": field, "shape": [Nh, *fields["h"]]},
                    **variances,
                },
                "terms": [
                    {"couple": ["v", "h"], "J": "W"},
                    {"field": "v", "h": "a"},
                    {"field": "h", "h": "b"},
                ],
            },
            "test",
        )
    )


def at_unit_temperature(model: Loaded, seed: int, **arrays) -> Small:
    """One draw of the model's arrays, some replaced (``[instance, ...]``), at T = 1."""
    return bound(model, model.params(seed, 0).with_arrays(**arrays), "heat-bath", (1.0,))
