"""Couplings of continuous units are kept normalisable: moved back when an update left what is allowed.

With A = D - J over the continuous units (D = diag(lam), J the couplings times their coefficients) the
measure exists if A is positive definite, i.e. if the largest eigenvalue of ``D^-1/2 J D^-1/2`` is below
1. Where it passes ``1 - MARGIN``,

- one coupling W between two groups: its singular values in these units are cut at ``1 - MARGIN``, the
  nearest allowed point in the metric of the precisions;
- otherwise all trained couplings are scaled down by one factor.
"""

from __future__ import annotations

import numpy as np

from physebm.errors import StudyError
from physebm.lowering.positive import joining_terms, precision_matrix
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.terms import Pair, array_of

MARGIN = 1e-4


class Projection:
    """Keeps the continuous units of one model normalisable while it is trained."""

    def __init__(self, hamiltonian: Hamiltonian, coefficients: Coefficients, trained: tuple[str, ...]):
        self.hamiltonian, self.coefficients = hamiltonian, coefficients
        joining = joining_terms(hamiltonian)
        self.joining = bool(joining)
        self.slots = tuple(
            dict.fromkeys(
                array_of(hamiltonian.terms[t])
                for t in joining
                if array_of(hamiltonian.terms[t]) in trained
            )
        )
        self.single = joining[0] if len(joining) == 1 else None

    def apply(self, params: Params) -> tuple[Params, bool]:
        """The params, moved back where needed, and whether they were."""
        if not self.joining:
            return params, False
        A = precision_matrix(self.hamiltonian, params, self.coefficients)
        root = np.sqrt(np.diag(A))
        if not np.all(np.isfinite(A)) or np.any(np.diag(A) <= 0):
            return params, False
        B = np.eye(len(A)) - A / np.outer(root, root)
        largest = np.linalg.eigvalsh(B)[-1]
        if largest <= 1.0 - MARGIN:
            return params, False
        term = None if self.single is None else self.hamiltonian.terms[self.single]
        if isinstance(term, Pair) and term.a != term.b and self.slots:
            return self._cut(params, term, root), True
        factor = (1.0 - MARGIN) / largest
        if not self.slots:
            raise StudyError(
                "the couplings between continuous units, which are not trained, leave no normalisable "
                "measure at the trained variances"
            )
        scaled = {slot: params.arrays[slot] * factor for slot in self.slots}
        return params.with_arrays(**scaled), True

    def _cut(self, params: Params, term: Pair, root: np.ndarray) -> Params:
        """Singular values of ``D_a^-1/2 c W D_b^-1/2`` cut at ``1 - MARGIN``."""
        a, b = self.hamiltonian.group(term.a), self.hamiltonian.group(term.b)
        names = [g.name for g in self.hamiltonian.groups if not g.prior.discrete]
        sizes = [self.hamiltonian.group(name).size for name in names]
        starts = dict(zip(names, np.cumsum([0, *sizes])))
        root_a = root[starts[a.name] :][: a.size]
        root_b = root[starts[b.name] :][: b.size]
        c = self.coefficients.value[0, self.single]
        W = params.arrays[term.J]
        U, s, Vt = np.linalg.svd(
            c * W.reshape(a.size, b.size) / np.outer(root_a, root_b), full_matrices=False
        )
        cut = (U * np.minimum(s, 1.0 - MARGIN)) @ Vt * np.outer(root_a, root_b) / c
        return params.with_arrays(**{term.J: cut.reshape(W.shape)})
