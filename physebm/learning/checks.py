"""Whether a model can be learned by a recipe: asked before any data are read."""

from __future__ import annotations

from physebm.errors import LoweringError
from physebm.learning.centring import check_centred
from physebm.learning.enumerable import check_enumerable
from physebm.learning.gauge import check_gauge
from physebm.learning.inversion import check_inversion
from physebm.learning.pseudolikelihood import check_pseudo_likelihood
from physebm.learning.recipe import INVERSIONS, Recipe
from physebm.learning.trainable import check_trainable, trained_slots, variance_slots
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.terms import LowRank, Many, Pair, array_of


def check_recipe(hamiltonian: Hamiltonian, recipe: Recipe, where: str) -> None:
    """Refuse what cannot be done; `where` is the address of the [train] table.

    Raises
    ------
    LoweringError
        naming the key, the reason, and what would work.
    """
    check_trainable(hamiltonian, where)
    if recipe.method == "exact":
        check_enumerable(hamiltonian, f"{where}.method")
    if recipe.method == "pseudo-likelihood":
        check_pseudo_likelihood(hamiltonian, f"{where}.method")
    if recipe.method in INVERSIONS:
        check_inversion(hamiltonian, f"{where}.method")
    if recipe.centred:
        check_centred(hamiltonian, f"{where}.gradient")
    if recipe.gauge != "none":
        check_gauge(hamiltonian, recipe.gauge, f"{where}.gauge")
    trained, positive = trained_slots(hamiltonian), variance_slots(hamiltonian)
    for key, table in (("l1", recipe.l1), ("l2", recipe.l2)):
        for slot in table:
            if slot not in trained:
                raise LoweringError(f"{where}.{key}", got=slot, expected=trained)
            if slot in positive:
                raise LoweringError(
                    f"{where}.{key}",
                    got=slot,
                    expected=[name for name in trained if name not in positive],
                    hint="a penalty would pull this variance to 0, where there is no model",
                )
    _check_shared(hamiltonian, where)


def _check_shared(hamiltonian: Hamiltonian, where: str) -> None:
    """A trained array that is both a symmetric coupling and something else has no one meaning."""
    for slot in trained_slots(hamiltonian):
        terms = [term for term in hamiltonian.terms if array_of(term) == slot]
        kinds = {type(term) for term in terms}
        pairs = {term.a == term.b for term in terms if isinstance(term, Pair)}
        if len(kinds) > 1 or len(pairs) > 1 or (len(terms) > 1 and kinds & {LowRank, Many}):
            raise LoweringError(
                where,
                got=f"array '{slot}', which terms of different kinds share",
                expected="one kind of term per trained array",
            )
