"""Hand-written device functions of the CPU backend; generated sweeps call these by name.

The same names stand in the reference backend and in the CUDA library. Each is inlined into the sweep;
none allocates. Word layout: see `physebm.lowering.plan`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import float32, float64, int64, njit, uint32, uint64

from physebm.backends.numba_cpu.exponential import exp_minus

_M0, _M1 = uint64(0xD2511F53), uint64(0xCD9E8D57)
_W0, _W1 = uint64(0x9E3779B9), uint64(0xBB67AE85)
_32 = uint64(32)
_LOW_HALF = uint64(0xFFFFFFFF)
_INV32 = 2.0**-32
_TIE = 1e-6  # thresholds.TIE, written out because cached kernels are named by the hash of this text
_INV52 = 2.0**-52
# Sums that may be split over vector lanes: the same bits on one machine, at any number of threads.
_REASSOCIATED = {"reassoc", "contract"}
_SQRT_HALF = math.sqrt(0.5)
_SQRT_PI = math.sqrt(math.pi)
_SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)


@njit(inline="always")
def philox4x32(c0, c1, c2, c3, k0, k1):
    """Philox4x32-10: four words at a counter (see `physebm.rng.philox`).

    Words are the low halves of 64-bit numbers whose high halves hold anything: a vector multiplies low
    halves to whole products, and nothing has to be packed before the end.
    """
    c0, c1, c2, c3 = uint64(c0), uint64(c1), uint64(c2), uint64(c3)
    k0, k1 = uint64(k0), uint64(k1)
    for _ in range(10):
        p0 = _M0 * (c0 & _LOW_HALF)
        p1 = _M1 * (c2 & _LOW_HALF)
        c0, c1 = (p1 >> _32) ^ c1 ^ k0, p1
        c2, c3 = (p0 >> _32) ^ c3 ^ k1, p0
        k0 = (k0 + _W0) & _LOW_HALF
        k1 = (k1 + _W1) & _LOW_HALF
    return uint32(c0), uint32(c1), uint32(c2), uint32(c3)


@njit
def fill_words(words, chunk, walker, sweep, last, k0, k1):
    """The 64 words of draw positions ``64 chunk .. 64 chunk + 63``; vectorises over 16 blocks."""
    for b in range(16):
        r0, r1, r2, r3 = philox4x32(
            uint32(uint32(16) * uint32(chunk) + uint32(b)), uint32(walker), uint32(sweep),
            uint32(last), uint32(k0), uint32(k1),
        )  # fmt: skip
        words[b] = r0
        words[16 + b] = r1
        words[32 + b] = r2
        words[48 + b] = r3


@njit(inline="always")
def uniform(word):
    """A float64 in (0, 1): ``(word + 1/2) 2^-32``."""
    return (float64(word) + 0.5) * _INV32


@njit(inline="always")
def uniform53(high, low):
    """A float64 in (0, 1) with 52 random bits."""
    return (float64((uint64(high) << uint64(20)) | (uint64(low) >> uint64(12))) + 0.5) * _INV52


@njit(inline="always")
def heat_bath_up(gap, word):
    """True with probability ``1 / (1 + exp(-gap))``; no division, no overflow to nan."""
    return uniform(word) * (1.0 + math.exp(-gap)) < 1.0


@njit(inline="always")
def metropolis_accept(gain):
    """``min(1, exp(gain))``, half of it for equal energies; see `physebm.lowering.thresholds.TIE`."""
    accept = math.exp(min(0.0, gain))
    return 0.5 * accept if abs(gain) < _TIE else accept


@njit(inline="always")
def metropolis_up(gap, up, word):
    """The next state of a two-state unit under Metropolis, as 'is up'."""
    accept = metropolis_accept(-gap if up else gap)
    return uniform(word) < ((1.0 - accept) if up else accept)


@njit(inline="always")
def downhill_up(gap, up):
    """Zero temperature: the lower state in energy; ties keep the state."""
    return up if gap == 0.0 else gap > 0.0


@njit
def heat_bath_potts(theta, word):
    """State a with probability ``exp(theta_a) / sum_b exp(theta_b)``; overwrites theta."""
    q = theta.shape[0]
    top = theta[0]
    for a in range(1, q):
        top = max(top, theta[a])
    for a in range(q):
        theta[a] = exp_minus(float32(top - theta[a]))
    # float64 sums: a rare state keeps its probability wherever it stands
    total = 0.0
    for a in range(q):
        total += theta[a]
        theta[a] = total
    target = uniform(word) * total
    new = 0
    for a in range(q - 1):
        new += theta[a] <= target
    return new


@njit
def metropolis_potts(theta, old, word, proposal):
    """A uniformly proposed other state, accepted by ``theta_new - theta_old``."""
    q = theta.shape[0]
    new = min(int(uniform(proposal) * (q - 1)), q - 2)
    if new >= old:
        new += 1
    return new if uniform(word) < metropolis_accept(theta[new] - theta[old]) else old


@njit
def downhill_potts(theta, old):
    """The state of largest theta; ties keep the present state, or take the first."""
    best = old
    for a in range(theta.shape[0]):
        if theta[a] > theta[best] or (theta[a] == theta[best] and best != old and a < best):
            best = a
    return best


@njit
def ndtri(p):
    """Inverse of the standard normal distribution, relative error about 1e-16.

    Source: M. J. Wichura, Algorithm AS 241 (PPND16), Appl. Stat. 37, 477 (1988).
    """
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        num = (((((((2.5090809287301226727e3 * r + 3.3430575583588128105e4) * r
                + 6.7265770927008700853e4) * r + 4.5921953931549871457e4) * r
                + 1.3731693765509461125e4) * r + 1.9715909503065514427e3) * r
                + 1.3314166789178437745e2) * r + 3.3871328727963666080e0)  # fmt: skip
        den = (((((((5.2264952788528545610e3 * r + 2.8729085735721942674e4) * r
                + 3.9307895800092710610e4) * r + 2.1213794301586595867e4) * r
                + 5.3941960214247511077e3) * r + 6.8718700749205790830e2) * r
                + 4.2313330701600911252e1) * r + 1.0)  # fmt: skip
        return q * num / den
    r = math.sqrt(-math.log(p if q < 0 else 1.0 - p))
    if r <= 5.0:
        r -= 1.6
        num = (((((((7.74545014278341407640e-4 * r + 2.27238449892691845833e-2) * r
                + 2.41780725177450611770e-1) * r + 1.27045825245236838258e0) * r
                + 3.64784832476320460504e0) * r + 5.76949722146069140550e0) * r
                + 4.63033784615654529590e0) * r + 1.42343711074968357734e0)  # fmt: skip
        den = (((((((1.05075007164441684324e-9 * r + 5.47593808499534494600e-4) * r
                + 1.51986665636164571966e-2) * r + 1.48103976427480074590e-1) * r
                + 6.89767334985100004550e-1) * r + 1.67638483018380384940e0) * r
                + 2.05319162663775882187e0) * r + 1.0)  # fmt: skip
    else:
        r -= 5.0
        num = (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r
                + 1.24266094738807843860e-3) * r + 2.65321895265761230930e-2) * r
                + 2.96560571828504891230e-1) * r + 1.78482653991729133580e0) * r
                + 5.46378491116411436990e0) * r + 6.65790464350110377720e0)  # fmt: skip
        den = (((((((2.04426310338993978564e-15 * r + 1.42151175831644588870e-7) * r
                + 1.84631831751005468180e-5) * r + 7.86869131145613259100e-4) * r
                + 1.48753612908506148525e-2) * r + 1.36929880922735805310e-1) * r
                + 5.99832206555887937690e-1) * r + 1.0)  # fmt: skip
    return -num / den if q < 0 else num / den


@njit
def erfcx(x):
    """``exp(x^2) erfc(x)`` for x >= 0: the product below 6, Laplace's continued fraction above."""
    if x < 6.0:
        return math.exp(x * x) * math.erfc(x)
    tail = x
    for k in range(24, 0, -1):
        tail = x + 0.5 * k / tail
    return 1.0 / (_SQRT_PI * tail)


@njit
def heat_bath_gaussian(theta, lam, high, low):
    """A normal draw of mean ``theta / lam`` and variance ``1 / lam``."""
    return theta / lam + ndtri(uniform53(high, low)) / math.sqrt(lam)


@njit
def tail_excess(edge, u):
    """``e >= 0`` with ``Q(edge + e) = u Q(edge)``: inverse tail below 3, three Halley steps above."""
    if edge < 3.0:
        return max(-ndtri(u * 0.5 * math.erfc(edge * _SQRT_HALF)) - edge, 0.0)
    log_u = math.log(u)
    e = -2.0 * log_u / (edge + math.sqrt(edge * edge - 2.0 * log_u))
    base = erfcx(edge * _SQRT_HALF)
    for _ in range(3):
        tail = erfcx((edge + e) * _SQRT_HALF)
        hazard = _SQRT_2_OVER_PI / tail
        g = math.log(tail / base) - edge * e - 0.5 * e * e - log_u
        e += 2.0 * g / (2.0 * hazard - g * (hazard - (edge + e)))
    return max(e, 0.0)


@njit
def heat_bath_truncated(theta, lam, lower, high, low):
    """A normal draw of mean ``theta / lam`` and variance ``1 / lam``, conditioned on x >= lower."""
    root = math.sqrt(lam)
    return lower + tail_excess(root * (lower - theta / lam), uniform53(high, low)) / root


@njit
def axpy(y, a, x):
    """``y += a x``: elementwise, so the bits do not depend on how it is vectorised."""
    for j in range(y.shape[0]):
        y[j] += a * x[j]


@njit
def dot_int(xi, m):
    """``sum_mu xi_mu m_mu`` in exact integers; vectorises."""
    total = np.int32(0)
    for mu in range(xi.shape[0]):
        total += np.int32(xi[mu]) * m[mu]
    return total


@njit(fastmath=_REASSOCIATED)
def dot_real(xi, m):
    """``sum_mu xi_mu m_mu``; reassociated for speed, the same bits on one machine."""
    total = 0.0
    for mu in range(xi.shape[0]):
        total += xi[mu] * m[mu]
    return total


@njit
def product_field(f, J, x, q):
    """``f = sum_j x_j J[j]`` (q = 0), or ``sum_j J[q j + x_j]`` for Potts sources."""
    f[:] = 0
    for j in range(x.shape[0]):
        if q:
            axpy(f, f.dtype.type(1), J[j * q + int64(x[j])])
        elif x[j] != 0:
            axpy(f, f.dtype.type(x[j]), J[j])


@njit
def rebuild_overlap(M, xi, x, q):
    """``M_mu = sum_i xi[i, mu] x_i``, or ``sum_i xi[q i + x_i, mu]`` for Potts units."""
    M[:] = 0
    for i in range(x.shape[0]):
        add_pattern(M, xi[i * q + int64(x[i])] if q else xi[i], 1 if q else x[i])


@njit
def add_pattern(M, xi, step):
    """``M += step xi``, in the type of M so that the loop vectorises."""
    step = M.dtype.type(step)
    for mu in range(M.shape[0]):
        M[mu] += step * M.dtype.type(xi[mu])


@njit(fastmath=_REASSOCIATED)
def energy_constant(h, x, q):
    """``- sum_i h_i x_i``, or ``- sum_i h[q i + x_i]``."""
    total = 0.0
    for i in range(x.shape[0]):
        total += h[i * q + int64(x[i])] if q else h[i] * x[i]
    return -total


@njit(fastmath=_REASSOCIATED)
def energy_uniform_field(x, q):
    """``- sum_i x_i`` (a uniform field of unit strength; for Potts units the number of units)."""
    total = 0.0
    for i in range(x.shape[0]):
        total += 1 if q else x[i]
    return -total


@njit(fastmath=_REASSOCIATED)
def energy_running(f, x, q):
    """``- (1/2) sum_i x_i f_i`` from the fields of the present configuration."""
    total = 0.0
    for i in range(x.shape[0]):
        total += float64(f[i * q + int64(x[i])]) if q else float64(f[i]) * x[i]
    return -0.5 * total


@njit(fastmath=_REASSOCIATED)
def energy_product(f, x, q):
    """``- sum_i x_i f_i`` with the field f of the other group."""
    return 2.0 * energy_running(f, x, q)


@njit(fastmath=_REASSOCIATED)
def energy_overlap(M, d, x, q):
    """``- (1/2) (sum_mu M_mu^2 - sum_i d_i x_i^2)``, the diagonal taken out."""
    total = 0.0
    for mu in range(M.shape[0]):
        total += float64(M[mu]) * M[mu]
    for i in range(x.shape[0]):
        total -= float64(d[i * q + int64(x[i])]) if q else float64(d[i]) * x[i] * x[i]
    return -0.5 * total


@njit(fastmath=_REASSOCIATED)
def energy_quadratic(w, x):
    """``(1/2) sum_i w_i x_i^2``."""
    total = 0.0
    for i in range(x.shape[0]):
        total += w[i] * x[i] * x[i]
    return 0.5 * total


@njit(fastmath=_REASSOCIATED)
def energy_unit_quadratic(x):
    """``(1/2) sum_i x_i^2``."""
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i] * x[i]
    return 0.5 * total
