// exp(x) for x <= 0 with the bits of physebm/rng/portable.py: no operation of it may be fused.
__device__ inline double exp_of_negative(double x) {
    const double inverse_factorial[14] = {
        1.0, 1.0, 0.5, 0.16666666666666666, 0.041666666666666664, 0.008333333333333333,
        0.001388888888888889, 0.0001984126984126984, 2.48015873015873e-05, 2.7557319223985893e-06,
        2.755731922398589e-07, 2.505210838544172e-08, 2.08767569878681e-09, 1.6059043836821613e-10};
    x = fmax(x, -750.0);
    double n = rint(__dmul_rn(x, 1.4426950408889634));
    double r = __dsub_rn(x, __dmul_rn(n, 0.6931471803691238));
    r = __dsub_rn(r, __dmul_rn(n, 1.9082149292705877e-10));
    double series = inverse_factorial[13];
    for (i32 k = 12; k >= 0; k--) series = __dadd_rn(__dmul_rn(series, r), inverse_factorial[k]);
    return ldexp(series, (i32)n);
}
