"""A Hamiltonian seen from the discrete units that are enumerated: all others in closed form.

Let F be the features of the enumerated units (values, or indicators of Potts states) and y the other
units: continuous ones, and discrete layers that are marked `integrated`. Given F,

    u = sum_t c_t E_t(F) - theta(F) . y + y^T A y / 2 + constants,     theta = b + F B,
    A = diag(w) - K,

so that the y are Gaussian (coupled through A), truncated Gaussian or discrete (independent), and their
weight and moments follow from Gamma. An integrated discrete layer that couples to continuous units is
enumerated instead, an integrated continuous layer is integrated here: neither changes anything.
With ``l(F)`` the log of the weight of F, the first two derivatives of l in beta give

    <du/dbeta> = -<l'>,      d2 log Z / dbeta2 = <l'^2> - <l'>^2 + <l''>.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physebm.errors import LoweringError
from physebm.model.energy import dense_couplings, hyperedges, square_weights
from physebm.model.hamiltonian import Group, Hamiltonian
from physebm.model.params import Params
from physebm.model.terms import Field, Many, Pair, Square, groups_of
from physebm.model.units import UnitKind


@dataclass(frozen=True)
class ConditionalForm:
    """The arrays of the module's formula, per term; features are numbered group by group.

    Attributes
    ----------
    enumerated, conditional
        The groups of F, in the order of the Hamiltonian, and those of y: Gaussian, truncated, discrete.
    place
        Name of a group -> its slice of F (enumerated) or of y (conditional).
    gaussian, truncated
        Numbers of Gaussian and of truncated y; they come first.
    h_tf, J_tff, many
        Fields, couplings (symmetric) and hyperedges ``(term, edges, weights)`` among F.
    b_ty, B_tfy, w_ty, K_tyy
        Fields of y, couplings F-y, precisions and couplings y-y.
    prior_y, lower_y
        Index of the prior's term of each continuous y (-1: none), and lower edges.
    """

    enumerated: tuple[Group, ...]
    conditional: tuple[Group, ...]
    place: dict[str, slice]
    gaussian: int
    truncated: int
    h_tf: np.ndarray
    J_tff: np.ndarray
    many: tuple[tuple[int, np.ndarray, np.ndarray], ...]
    b_ty: np.ndarray
    B_tfy: np.ndarray
    w_ty: np.ndarray
    K_tyy: np.ndarray
    prior_y: np.ndarray
    lower_y: np.ndarray

    @property
    def states(self) -> int:
        """Number of states of the enumerated units."""
        count = 1
        for group in self.enumerated:
            count *= len(group.prior.states) ** group.size
        return count

    def digits(self, index: np.ndarray) -> dict[str, np.ndarray]:
        """Configurations ``{group: x[state, unit]}`` of indices; unit i is digit i, lowest first."""
        rest, state = np.asarray(index, dtype=np.int64), {}
        for group in self.enumerated:
            values = np.array(group.prior.states, dtype=np.int8)
            x = np.empty((len(rest), group.size), dtype=np.int8)
            for i in range(group.size):
                rest, digit = np.divmod(rest, len(values))
                x[:, i] = values[digit]
            state[group.name] = x
        return state

    def features(self, state: dict[str, np.ndarray]) -> np.ndarray:
        """``F[state, feature]`` of configurations of the enumerated units."""
        parts = [np.zeros((len(next(iter(state.values()), [0])), 0))]
        for group in self.enumerated:
            x = state[group.name]
            if group.prior.kind is UnitKind.POTTS:
                x = (x[..., None] == np.arange(group.prior.q)).reshape(len(x), -1)
            parts.append(x.astype(np.float64))
        return np.concatenate(parts, axis=1)

    def energies(self, F: np.ndarray) -> np.ndarray:
        """``E[state, term]`` of the terms among the enumerated units."""
        E = -F @ self.h_tf.T
        for t, J in enumerate(self.J_tff):
            if J.any():
                E[:, t] -= 0.5 * np.einsum("sf,sf->s", F @ J, F)
        for t, edges, weights in self.many:
            for start in range(0, len(edges), 256):
                cut = slice(start, start + 256)
                E[:, t] -= np.prod(F[:, edges[cut]], axis=-1) @ weights[cut]
        return E


def conditional_form(hamiltonian: Hamiltonian, params: Params, instance: int = 0) -> ConditionalForm:
    """Split a Hamiltonian in units to enumerate and units in closed form.

    Raises
    ------
    LoweringError
        where truncated Gaussian units couple to continuous units: their integral has no closed form.
    """
    enumerated, conditional = _split(hamiltonian)
    place: dict[str, slice] = {}
    for groups in (enumerated, conditional):
        start = 0
        for group in groups:
            place[group.name] = slice(start, start + group.size * group.prior.features)
            start = place[group.name].stop
    kinds = [g.prior.kind for g in conditional for _ in range(g.size * g.prior.features)]
    T, n_y = len(hamiltonian.terms), len(kinds)
    n_f = sum(g.size * g.prior.features for g in enumerated)
    h_tf, J_tff = np.zeros((T, n_f)), np.zeros((T, n_f, n_f))
    b_ty, B_tfy = np.zeros((T, n_y)), np.zeros((T, n_f, n_y))
    w_ty, K_tyy = np.zeros((T, n_y)), np.zeros((T, n_y, n_y))
    many, inside = [], {group.name for group in enumerated}
    for t, term in enumerate(hamiltonian.terms):
        names = groups_of(term)
        at = place[names[0]]
        if isinstance(term, Field):
            h = 1.0 if term.h is None else params.arrays[term.h][instance].ravel()
            (h_tf if names[0] in inside else b_ty)[t, at] = h
        elif isinstance(term, Square):
            w_ty[t, at] = square_weights(hamiltonian, params, t, instance)
        elif isinstance(term, Many):
            edges, weights = hyperedges(hamiltonian, params, t, instance)
            many.append((t, edges + at.start, weights))
        else:
            a, b = (term.a, term.b) if isinstance(term, Pair) else (term.group, term.group)
            i, j = place[a], place[b]
            J = dense_couplings(hamiltonian, params, t, instance)
            J = J.reshape(J.shape[0] * J.shape[1], -1)
            if a in inside and b in inside:
                J_tff[t, i, j] = J
                J_tff[t, j, i] = J.T
            elif a in inside:
                B_tfy[t, i, j] = J
            elif b in inside:
                B_tfy[t, j, i] = J.T
            else:
                _refuse_truncated(hamiltonian, t, (a, b))
                K_tyy[t, i, j] = J
                K_tyy[t, j, i] = J.T
    prior_y, lower_y = np.full(n_y, -1), np.zeros(n_y)
    for group in conditional:
        if not group.prior.discrete:
            prior_y[place[group.name]] = hamiltonian.prior_term(group.name)
        if group.name in params.lower:
            lower_y[place[group.name]] = params.lower[group.name][instance]
    return ConditionalForm(
        enumerated,
        conditional,
        place,
        kinds.count(UnitKind.GAUSSIAN),
        kinds.count(UnitKind.TRUNCATED_GAUSSIAN),
        h_tf,
        J_tff,
        tuple(many),
        b_ty,
        B_tfy,
        w_ty,
        K_tyy,
        prior_y,
        lower_y,
    )


def _split(hamiltonian: Hamiltonian) -> tuple[tuple[Group, ...], tuple[Group, ...]]:
    """Groups to enumerate, and the others: Gaussian, truncated, discrete integrated ones."""
    smooth = {group.name for group in hamiltonian.groups if not group.prior.discrete}
    opened = {
        name
        for term in hamiltonian.terms
        for name in groups_of(term)
        if name not in smooth and smooth.intersection(groups_of(term))
    }
    enumerated = tuple(
        group
        for group in hamiltonian.groups
        if group.prior.discrete and (not group.integrated or group.name in opened)
    )
    rank = {UnitKind.GAUSSIAN: 0, UnitKind.TRUNCATED_GAUSSIAN: 1}
    rest = [group for group in hamiltonian.groups if group not in enumerated]
    return enumerated, tuple(sorted(rest, key=lambda group: rank.get(group.prior.kind, 2)))


def _refuse_truncated(hamiltonian: Hamiltonian, t: int, names: tuple[str, str]) -> None:
    kinds = [hamiltonian.group(name).prior.kind for name in names]
    if UnitKind.TRUNCATED_GAUSSIAN in kinds:
        raise LoweringError(
            f"{hamiltonian.name}.terms[{t}]",
            got=f"a coupling between {kinds[0]} and {kinds[1]} units",
            expected="truncated Gaussian units that couple to discrete units only",
            hint="an integral over coupled truncated Gaussian units has no closed form, so that exact "
            "enumeration cannot treat this model",
        )
