// New states from conditionals; the same names stand in the CPU library and in the reference.
// gap = u(down) - u(up) of a two-state unit; theta[a] = -u(a) of a Potts unit.

// True with probability 1 / (1 + exp(-gap)); no division, no overflow to nan. Floats decide where they are
// right beyond doubt: their error is below 1e-5 of the product (that of -gap as a float counts 88 times).
__device__ __forceinline__ bool heat_bath_up(double gap, u32 word) {
    const float product = ((float)word + 0.5f) * 2.3283064365386962890625e-10f * (1.0f + expf((float)-gap));
    if (fabsf(product - 1.0f) > 2e-5f) return product < 1.0f;
    return uniform(word) * (1.0 + exp(-gap)) < 1.0;
}

// min(1, exp(gain)), half of it for equal energies (physebm/lowering/thresholds.py says why).
__device__ __forceinline__ double metropolis_accept(double gain) {
    double accept = exp(fmin(0.0, gain));
    return fabs(gain) < 1e-6 ? 0.5 * accept : accept;
}

__device__ __forceinline__ bool metropolis_up(double gap, bool up, u32 word) {
    double accept = metropolis_accept(up ? -gap : gap);
    return uniform(word) < (up ? 1.0 - accept : accept);
}

// Zero temperature: the lower state in energy; ties keep the state.
__device__ __forceinline__ bool downhill_up(double gap, bool up) {
    return gap == 0.0 ? up : gap > 0.0;
}

// State a with probability exp(theta_a) / sum_b exp(theta_b); overwrites theta.
__device__ inline i32 heat_bath_potts(double* theta, i32 q, u32 word) {
    double top = theta[0], total = 0.0;
    for (i32 a = 1; a < q; a++) top = fmax(top, theta[a]);
    for (i32 a = 0; a < q; a++) {
        total += exp(theta[a] - top);
        theta[a] = total;
    }
    double target = uniform(word) * total;
    i32 drawn = 0;
    for (i32 a = 0; a < q - 1; a++) drawn += theta[a] <= target;
    return drawn;
}

// A uniformly proposed other state, accepted by theta_new - theta_old.
__device__ inline i32 metropolis_potts(const double* theta, i32 q, i32 old, u32 word, u32 proposal) {
    i32 other = (i32)(uniform(proposal) * (q - 1));
    other = other < q - 2 ? other : q - 2;
    other += other >= old;
    return uniform(word) < metropolis_accept(theta[other] - theta[old]) ? other : old;
}

// The state of largest theta; ties keep the present state, or take the first.
__device__ inline i32 downhill_potts(const double* theta, i32 q, i32 old) {
    i32 best = 0;
    for (i32 a = 1; a < q; a++) best = theta[a] > theta[best] ? a : best;
    return theta[old] == theta[best] ? old : best;
}

// Normal draws of mean theta / lam and variance 1 / lam; the second conditioned on x >= lower.
__device__ inline double heat_bath_gaussian(double theta, double lam, u32 high, u32 low) {
    return theta / lam + ndtri(uniform53(high, low)) / sqrt(lam);
}

__device__ inline double heat_bath_truncated(double theta, double lam, double lower, u32 high, u32 low) {
    double root = sqrt(lam);
    return lower + tail_excess(root * (lower - theta / lam), uniform53(high, low)) / root;
}
