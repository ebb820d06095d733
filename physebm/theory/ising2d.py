"""The two-dimensional Ising ferromagnet in closed form: infinite square lattice and finite torus.

``H = - sum_<ij> s_i s_j`` (J = 1, no field), every site having one bond to the right and one down, so
that a periodic axis of length 2 has two bonds between its pair. Energies and specific heats are per
site, ``c = beta^2 (<H^2> - <H>^2) / N``; log Z is the total and tends to ``N log 2`` at beta = 0.
Every function broadcasts over `beta` in [0, 100].

The torus partition function is half the sum of four products over the modes of the transfer
matrix, ``Z = (1/2) (2 sinh 2 beta)^(N/2) sum_i Z_i``. The fourth contains ``sinh(M gamma_0 / 2)``,
which changes sign at the critical point: it is kept as a number times the exponential of a
logarithm, and all derivatives are analytic, so nothing special happens at beta_c.

Sources: L. Onsager, Phys. Rev. 65, 117 (1944); B. Kaufman, Phys. Rev. 76, 1232 (1949);
A. E. Ferdinand and M. E. Fisher, Phys. Rev. 185, 832 (1969); C. N. Yang, Phys. Rev. 85, 808 (1952).
"""

from __future__ import annotations

import numpy as np
from scipy.special import ellipkm1, elliprd

from physebm.errors import InputError

CRITICAL_BETA = float(np.log1p(np.sqrt(2.0)) / 2.0)
CRITICAL_TEMPERATURE = 1.0 / CRITICAL_BETA


def onsager_energy(beta):
    """Energy per site of the infinite lattice; ``-sqrt 2`` at beta_c (Onsager 1944, eq. 116)."""
    beta, zero = _checked(beta, "onsager_energy")
    signed = 2.0 * np.tanh(2.0 * beta) ** 2 - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        product = np.where(signed == 0.0, 0.0, signed * ellipkm1(signed**2))
    return _out(np.where(zero, 0.0, -(1.0 + (2.0 / np.pi) * product) / np.tanh(2.0 * beta)))


def onsager_specific_heat(beta):
    """Specific heat per site of the infinite lattice (Onsager 1944, eq. 117).

    Diverges logarithmically at beta_c, where it is inf (or of order 10, the divergence being that
    slow, when rounding puts `beta` beside the critical point).
    """
    beta, zero = _checked(beta, "onsager_specific_heat")
    sech2 = 1.0 / np.cosh(2.0 * beta) ** 2
    signed = 2.0 * np.tanh(2.0 * beta) ** 2 - 1.0
    modulus2 = 4.0 * np.tanh(2.0 * beta) ** 2 * sech2
    critical = signed == 0.0
    complement = np.where(critical, 1.0, signed**2)
    # K - E = (k^2 / 3) R_D(0, k'^2, 1): no cancellation in the ordered phase.
    k_minus_e = modulus2 / 3.0 * elliprd(0.0, complement, 1.0)
    braces = 2.0 * k_minus_e - 2.0 * sech2 * (np.pi / 2.0 + signed * ellipkm1(complement))
    value = (2.0 / np.pi) * (beta / np.tanh(2.0 * beta)) ** 2 * braces
    return _out(np.where(zero, 0.0, np.where(critical, np.inf, value)))


def onsager_log_z(beta):
    """``lim log Z / N`` of the infinite lattice, equal to ``-beta f`` (Onsager 1944, eq. 109)."""
    beta, zero = _checked(beta, "onsager_log_z")
    beta = beta[..., None]
    signed2 = (2.0 * np.tanh(2.0 * beta) ** 2 - 1.0) ** 2
    root = np.sqrt(_NODE_SIN**2 + signed2 * _NODE_COS**2)
    integral = np.sum(_NODE_WEIGHT * np.log1p(root), axis=-1) / np.pi
    beta = beta[..., 0]
    log_cosh = 2.0 * beta + np.log1p(np.exp(-4.0 * beta)) - np.log(2.0)
    return _out(np.where(zero, np.log(2.0), 0.5 * np.log(2.0) + log_cosh + integral))


def onsager_free_energy(beta):
    """Free energy per site of the infinite lattice, ``-log Z / (beta N)``; -inf at beta = 0."""
    return _per_beta(onsager_log_z(beta), beta)


def onsager_entropy(beta):
    """Entropy per site of the infinite lattice, ``log Z / N + beta e``; log 2 at beta = 0."""
    return onsager_log_z(beta) + np.asarray(beta, dtype=float) * onsager_energy(beta)


def spontaneous_magnetisation(beta):
    """``(1 - sinh(2 beta)^-4)^(1/8)`` below T_c and 0 above (Yang 1952)."""
    beta, zero = _checked(beta, "spontaneous_magnetisation")
    excess = -np.expm1(-4.0 * np.maximum(_log_sinh(2.0 * beta), 0.0))
    return _out(np.where(zero, 0.0, excess**0.125))


def torus_log_z(beta, length: int, width: int | None = None):
    """Total log Z of the `length` x `width` torus (Kaufman 1949; Ferdinand and Fisher 1969, eq. 2)."""
    beta, zero = _checked(beta, "torus_log_z")
    length, width = _shape(length, width)
    value, _, _ = _torus(beta, length, width)
    return _out(np.where(zero, length * width * np.log(2.0), value))


def torus_energy(beta, length: int, width: int | None = None):
    """Energy per site of the torus, ``-d(log Z)/d(beta) / N``."""
    beta, zero = _checked(beta, "torus_energy")
    length, width = _shape(length, width)
    _, first, _ = _torus(beta, length, width)
    return _out(np.where(zero, 0.0, -first / (length * width)))


def torus_specific_heat(beta, length: int, width: int | None = None):
    """Specific heat per site of the torus, ``beta^2 d^2(log Z)/d(beta)^2 / N``."""
    beta, zero = _checked(beta, "torus_specific_heat")
    length, width = _shape(length, width)
    _, _, second = _torus(beta, length, width)
    return _out(np.where(zero, 0.0, beta**2 * second / (length * width)))


def torus_free_energy(beta, length: int, width: int | None = None):
    """Free energy per site of the torus, ``-log Z / (beta N)``; -inf at beta = 0."""
    length, width = _shape(length, width)
    return _per_beta(torus_log_z(beta, length, width) / (length * width), beta)


def torus_entropy(beta, length: int, width: int | None = None):
    """Entropy per site of the torus, ``log Z / N + beta e``; log 2 at beta = 0."""
    length, width = _shape(length, width)
    per_site = torus_log_z(beta, length, width) / (length * width)
    return per_site + np.asarray(beta, dtype=float) * torus_energy(beta, length, width)


def _torus(beta, length, width):
    """Log Z of the torus and its first and second derivatives with respect to beta."""
    n, half = length, width / 2.0
    beta = beta[..., None]
    sinh, cosh = np.sinh(2.0 * beta), np.cosh(2.0 * beta)
    slope = 2.0 * cosh * (sinh - 1.0) * (sinh + 1.0) / sinh**2
    curve = 4.0 * (sinh - 1.0) * (sinh + 1.0) / sinh + 8.0 * cosh**2 / sinh**3

    def modes(k):
        """gamma_k and its two derivatives, from ``cosh gamma = sinh + 1/sinh - cos(pi k / n)``."""
        excess = (sinh - 1.0) ** 2 / sinh + 2.0 * np.sin(np.pi * k / (2.0 * n)) ** 2
        root = np.sqrt(excess * (excess + 2.0))
        first = slope / root
        second = (curve - slope**2 * (1.0 + excess) / root**2) / root
        return np.log1p(excess + root), first, second

    def logs(gamma, first, second, sign):
        """Log of ``prod (e^x + sign e^-x)``, ``x = half gamma``, and two derivatives of it."""
        decay = sign * np.exp(-2.0 * half * gamma)
        ratio = (1.0 - decay) / (1.0 + decay)
        spread = 4.0 * decay / (1.0 + decay) ** 2
        return np.stack(
            [
                np.sum(half * gamma + np.log1p(decay), axis=-1),
                np.sum(half * first * ratio, axis=-1),
                np.sum(half * second * ratio + (half * first) ** 2 * spread, axis=-1),
            ]
        )

    odd = modes(np.arange(1, 2 * n, 2))
    even = modes(np.arange(2, 2 * n, 2))
    rest_cosh, rest_sinh = logs(*even, +1.0), logs(*even, -1.0)
    beta, sinh, cosh = beta[..., 0], sinh[..., 0], cosh[..., 0]
    # The mode gamma_0 is signed: 2 beta + log tanh beta, negative above T_c.
    zero = 2.0 * beta + np.log(np.tanh(beta))
    zero_first = 2.0 + 2.0 / sinh
    zero_second = -4.0 * cosh / sinh**2
    size, decay = half * np.abs(zero), np.exp(-2.0 * half * np.abs(zero))
    sums, differences = 1.0 + decay, np.sign(zero) * (-np.expm1(-2.0 * half * np.abs(zero)))

    def scaled(value, other):
        """(F, F', F'') of cosh or sinh of the signed mode, in units of ``e^size``."""
        rate = half * zero_first
        return value, rate * other, half * zero_second * other + rate**2 * value

    unit = (np.ones_like(beta), np.zeros_like(beta), np.zeros_like(beta))
    products = [
        (logs(*odd, +1.0), unit),
        (logs(*odd, -1.0), unit),
        (rest_cosh + np.stack([size, 0 * size, 0 * size]), scaled(sums, differences)),
        (rest_sinh + np.stack([size, 0 * size, 0 * size]), scaled(differences, sums)),
    ]
    top = np.max([logarithm[0] for logarithm, _ in products], axis=0)
    weights = [np.exp(logarithm[0] - top) for logarithm, _ in products]
    total = sum(w * f[0] for w, (_, f) in zip(weights, products))
    mean = sum(w * (f[1] + f[0] * g[1]) for w, (g, f) in zip(weights, products)) / total
    # Second derivative about the mean: a variance, without the cancellation of <.^2> - <.>^2.
    second = sum(
        w * (f[2] + 2.0 * f[1] * (g[1] - mean) + f[0] * (g[2] + (g[1] - mean) ** 2))
        for w, (g, f) in zip(weights, products)
    )
    sites = length * width
    return (
        top + np.log(total / 2.0) + sites / 2.0 * (np.log(2.0) + _log_sinh(2.0 * beta)),
        mean + sites / np.tanh(2.0 * beta),
        second / total - 2.0 * sites / sinh**2,
    )


def _tanh_sinh(upper, step, reach):
    """Nodes and weights of double-exponential quadrature on (0, upper), dense at both ends."""
    u = np.arange(-reach, reach + step / 2, step)
    inner = np.pi / 2.0 * np.sinh(u)
    node = upper / (1.0 + np.exp(-2.0 * inner))
    weight = upper * step * (np.pi / 4.0) * np.cosh(u) / np.cosh(inner) ** 2
    return node, weight


_NODE, _NODE_WEIGHT = _tanh_sinh(np.pi / 2.0, 1.0 / 40.0, 3.5)
_NODE_SIN, _NODE_COS = np.sin(_NODE), np.cos(_NODE)


def _log_sinh(x):
    return x + np.log(-np.expm1(-2.0 * x)) - np.log(2.0)


def _checked(beta, name):
    """Float array of beta with its zeros replaced by 1, and the mask of the zeros."""
    beta = np.asarray(beta, dtype=np.float64)
    if not np.all((beta >= 0.0) & (beta <= 100.0)):
        hint = "colder than T = 0.01 is the ground state"
        raise InputError(f"ising2d.{name}: beta", got=beta, expected="in [0, 100]", hint=hint)
    zero = beta == 0.0
    return np.where(zero, 1.0, beta), zero


def _shape(length, width):
    width = length if width is None else width
    if length != int(length) or width != int(width) or min(length, width) < 2:
        hint = "a periodic axis has at least two sites"
        raise InputError("ising2d: shape", got=(length, width), expected="integers >= 2", hint=hint)
    return int(length), int(width)


def _per_beta(log_z, beta):
    with np.errstate(divide="ignore"):
        return _out(-np.divide(log_z, np.asarray(beta, dtype=np.float64)))


def _out(value):
    """A float for scalar input, an array otherwise."""
    return float(value) if np.ndim(value) == 0 else value
