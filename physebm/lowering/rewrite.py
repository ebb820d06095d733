"""Physics identities as passes: (Hamiltonian, Params, Coefficients) -> the same triple.

Both leave the distribution of the remaining units unchanged at every temperature.

Hubbard-Stratonovich
    For c > 0 and z ~ N(0, T), with ``m = sum_i xi_i x_i``,

        exp(c m^2 / 2) = < exp(a z m) >_z,        a = sqrt(c beta).

    A low-rank term has ``exp(-c E) = exp[(c/2) sum_mu (m_mu^2 - sum_i (xi_i^mu x_i)^2)]``; its pairs
    i < j become a layer of P Gaussian units, and the diagonal that m^2 brings is compensated:

        ising        x^2 = 1, a constant: log Z grows by (c/2) sum_{i,mu} (xi_i^mu)^2
        bernoulli    x^2 = x, a field h_i = -(1/2) sum_mu (xi_i^mu)^2 of coefficient c
        potts        a state field h_i(a) = -(1/2) sum_mu (xi_i^mu(a))^2 of coefficient c
        continuous   a square term w_i = + sum_mu (xi_i^mu)^2 of coefficient c

    For ``c = beta scale`` the coupling is ``a = beta sqrt(scale)``: a Hopfield model becomes its
    Gaussian form at every temperature, with ``Z_joint = exp(beta P / 2) Z`` and ``du/dbeta`` larger by
    -P/2 on average.
    Source: R. L. Stratonovich, Dokl. Akad. Nauk SSSR 115, 1097 (1957); J. Hubbard, Phys. Rev. Lett. 3,
    77 (1959); A. Barra, A. Bernacchia, E. Santucci & P. Contucci, Neural Networks 34, 1 (2012).

Marginalisation
    ``sum_{x_j} rho(x_j) exp(theta_j x_j - lam_j x_j^2 / 2) = exp Gamma(theta_j, lam_j)`` for every unit
    of a layer without couplings inside. Definition of `physebm.model.units.log_normaliser`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from physebm.errors import ModelFileError
from physebm.lowering.positive import check_precisions
from physebm.model.hamiltonian import Group, Hamiltonian, Slot
from physebm.model.params import Coefficients, Params
from physebm.model.terms import AllPairs, Field, LowRank, Many, Pair, Square, groups_of
from physebm.model.units import Prior, UnitKind

Model = tuple[Hamiltonian, Params, Coefficients]


def hubbard_stratonovich(
    hamiltonian: Hamiltonian,
    params: Params,
    coefficients: Coefficients,
    term_index: int,
    hidden_name: str,
) -> Model:
    """Replace a low-rank term by a layer `hidden_name` of P Gaussian units of variance T.

    The coupling takes the place of the term; the compensation of the diagonal and the prior of the
    layer follow at the end. Groups that 'per unit' counted stay the counted ones. For Ising units
    log Z grows by `hubbard_stratonovich_constant`, else it is unchanged.

    Raises
    ------
    ModelFileError
        where the term is not low-rank, its coefficient is not positive at some rung, the name is
        taken, or a compensation would have to follow trainable patterns.
    """
    term = _low_rank(hamiltonian, term_index)
    _check_positive(hamiltonian, coefficients, term_index)
    group = hamiltonian.group(term.group)
    where = f"{hamiltonian.name}.terms[{term_index}]"
    if any(hidden_name == other.name for other in hamiltonian.groups):
        raise ModelFileError(f"{hamiltonian.name}.units.{hidden_name}", hint="this name is taken")
    potts = group.prior.kind is UnitKind.POTTS
    if potts and term.xi is None:
        raise ModelFileError(where, hint="a low-rank term of potts units needs patterns over states")
    slots, arrays, terms = list(hamiltonian.slots), dict(params.arrays), list(hamiltonian.terms)
    terms[term_index] = Pair(hidden_name, group.name, AllPairs(), term.xi, states=potts)

    jets = [_pair_jets(coefficients, term_index)]
    old = [coefficients.value, coefficients.first, coefficients.second]
    if group.prior.kind is not UnitKind.ISING:
        name, sign = None, 1.0
        if term.xi is None:
            # Unit weights need no array: the factor -1/2 of a field goes into its coefficient.
            sign = -0.5 if group.prior.discrete else 1.0
        else:
            if hamiltonian.slot(term.xi).trainable:
                raise ModelFileError(
                    f"{hamiltonian.name}.arrays.{term.xi}",
                    got="trainable patterns",
                    hint=f"the diagonal of {group.prior.kind} units is compensated by an array that "
                    "depends on the patterns, which training would leave behind; declare the "
                    "hidden layer in the model file, or load trained patterns as fixed ones",
                )
            squares = _squares(hamiltonian, params, term_index)
            name = _free_slot(slots, f"{term.xi}_diagonal")
            values = -0.5 * squares if group.prior.discrete else squares
            slots.append(Slot(name, values.shape[1:], quenched=hamiltonian.slot(term.xi).quenched))
            arrays[name] = values
        discrete = group.prior.discrete
        terms.append(Field(group.name, name) if discrete else Square(group.name, name))
        jets.append(tuple(sign * a[:, term_index] for a in old))

    P = 1 if term.xi is None else hamiltonian.slot(term.xi).shape[0]
    terms.append(Square(hidden_name))
    beta = coefficients.beta
    jets.append((beta, np.ones_like(beta), np.zeros_like(beta)))
    marked = any(other.visible for other in hamiltonian.groups)
    groups = tuple(replace(other, visible=other.visible or not marked) for other in hamiltonian.groups)
    hidden = Group(hidden_name, Prior(UnitKind.GAUSSIAN), (P,))

    tables = []
    for order, table in enumerate(old):
        table = np.concatenate([table, *(jet[order][:, None] for jet in jets[1:])], axis=1)
        table[:, term_index] = jets[0][order]
        tables.append(table)
    return (
        replace(hamiltonian, groups=(*groups, hidden), terms=tuple(terms), slots=tuple(slots)),
        replace(params, arrays=arrays),
        Coefficients(beta, *tables),
    )


def hubbard_stratonovich_constant(
    hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients, term_index: int
) -> np.ndarray:
    """``log Z_joint - log Z`` of `hubbard_stratonovich`, ``[instance, rung]``; of the original model.

    ``(c/2) sum_{i,mu} (xi_i^mu)^2`` for Ising units (beta P / 2 for Hopfield), else zero.
    """
    term = _low_rank(hamiltonian, term_index)
    group = hamiltonian.group(term.group)
    if group.prior.kind is not UnitKind.ISING:
        return np.zeros((params.instances, coefficients.rungs))
    if term.xi is None:
        total = np.full(params.instances, float(group.size))
    else:
        total = _squares(hamiltonian, params, term_index).reshape(params.instances, -1).sum(axis=1)
    return 0.5 * total[:, None] * coefficients.value[None, :, term_index]


def marginalise(
    hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients, group: str
) -> Model:
    """Sum out the units of `group`: they keep no state and enter u through ``-sum_j Gamma``.

    log Z and the distribution of the other units are unchanged.

    Raises
    ------
    ModelFileError
        where the units couple to each other or to a layer already summed out (their integral does
        not factorise), where nothing would remain, or where a precision is not positive.
    """
    names = [each.name for each in hamiltonian.groups]
    where = f"{hamiltonian.name}.units.{group}"
    if group not in names:
        raise ModelFileError(where, got=group, expected=names)
    integrated = {each.name for each in hamiltonian.groups if each.integrated}
    if group in integrated:
        return hamiltonian, params, coefficients
    for t, term in enumerate(hamiltonian.terms):
        joined = groups_of(term)
        if group not in joined:
            continue
        inside = isinstance(term, LowRank | Many) or (isinstance(term, Pair) and term.a == term.b)
        others = [name for name in joined if name in integrated]
        if inside or others:
            partner = f"units of {others[0]}, which are summed out too" if others else "each other"
            raise ModelFileError(
                where,
                got=f"terms[{t}] couples them to {partner}",
                hint="their integral does not factorise over the units: only a layer without "
                "couplings inside can be summed out",
            )
    if len(hamiltonian.sampled) == 1:
        raise ModelFileError(where, hint="no units would be left to sample")
    if not hamiltonian.group(group).prior.discrete:
        check_precisions(hamiltonian, params, coefficients, group)
    groups = tuple(
        replace(each, integrated=each.integrated or each.name == group) for each in hamiltonian.groups
    )
    return replace(hamiltonian, groups=groups), params, coefficients


def _low_rank(hamiltonian: Hamiltonian, index: int) -> LowRank:
    term = hamiltonian.terms[index]
    if not isinstance(term, LowRank):
        raise ModelFileError(
            f"{hamiltonian.name}.terms[{index}]",
            got=type(term).__name__,
            expected="a low-rank term (couple = [s, s] with patterns)",
            hint="the transformation linearises squares (sum_i xi_i x_i)^2",
        )
    return term


def _check_positive(hamiltonian: Hamiltonian, coefficients: Coefficients, index: int) -> None:
    c, beta = coefficients.value[:, index], coefficients.beta
    bad = np.flatnonzero(~((c > 0) & (beta > 0)))
    if len(bad):
        k = int(bad[0])
        raise ModelFileError(
            f"{hamiltonian.name}.terms[{index}].scale",
            got=f"coefficient {c[k]:g} at beta = {beta[k]:g}",
            expected="a scale > 0 at a finite temperature",
            hint="exp(c m^2 / 2) with c < 0 is a Gaussian average of exp(i sqrt|c| z m): the "
            "hidden units would act through an imaginary field, and their joint weight would not "
            "be a probability; with c = 0 there is nothing to transform",
        )


def _pair_jets(coefficients: Coefficients, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``a = sqrt(c beta)`` and its derivatives in beta, from those of ``g = c beta``."""
    beta = coefficients.beta
    c, c1, c2 = (a[:, t] for a in (coefficients.value, coefficients.first, coefficients.second))
    a = np.sqrt(c * beta)
    first = (c1 * beta + c) / (2.0 * a)
    second = (c2 * beta + 2.0 * c1 - 2.0 * first**2) / (2.0 * a)
    return a, first, second


def _squares(hamiltonian: Hamiltonian, params: Params, index: int) -> np.ndarray:
    """``sum_mu (xi_i^mu)^2``, ``[instance, *shape]`` (Potts: per state, ``[instance, *shape, q]``)."""
    xi = params.arrays[hamiltonian.terms[index].xi].astype(np.float64)
    return (xi**2).sum(axis=1)


def _free_slot(slots: list[Slot], name: str) -> str:
    taken = {slot.name for slot in slots}
    while name in taken:
        name += "_"
    return name
