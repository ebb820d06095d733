// Functions of the normal distribution, in double.

// Inverse of the standard normal distribution, relative error about 1e-16.
// M. J. Wichura, Algorithm AS 241 (PPND16), Appl. Stat. 37, 477 (1988).
__device__ inline double polynomial(const double* c, double r) {
    double sum = c[7];
    for (i32 k = 6; k >= 0; k--) sum = sum * r + c[k];
    return sum;
}

__device__ inline double ndtri(double p) {
    const double central_num[8] = {
        3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
        1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
        3.3430575583588128105e4, 2.5090809287301226727e3};
    const double central_den[8] = {
        1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
        2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
        5.2264952788528545610e3};
    const double middle_num[8] = {
        1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
        3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
        2.27238449892691845833e-2, 7.74545014278341407640e-4};
    const double middle_den[8] = {
        1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
        1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
        1.05075007164441684324e-9};
    const double far_num[8] = {
        6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
        2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
        2.71155556874348757815e-5, 2.01033439929228813265e-7};
    const double far_den[8] = {
        1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
        7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
        2.04426310338993978564e-15};
    double q = p - 0.5;
    if (fabs(q) <= 0.425) {
        double r = 0.180625 - q * q;
        return q * polynomial(central_num, r) / polynomial(central_den, r);
    }
    double r = sqrt(-log(q < 0 ? p : 1.0 - p));
    double x = r <= 5.0 ? polynomial(middle_num, r - 1.6) / polynomial(middle_den, r - 1.6)
                        : polynomial(far_num, r - 5.0) / polynomial(far_den, r - 5.0);
    return q < 0 ? -x : x;
}

// exp(x^2) erfc(x) for x >= 0: the product below 6, Laplace's continued fraction above.
__device__ inline double erfcx_positive(double x) {
    if (x < 6.0) return exp(x * x) * erfc(x);
    double tail = x;
    for (i32 k = 24; k > 0; k--) tail = x + 0.5 * k / tail;
    return 1.0 / (1.7724538509055160273 * tail);
}

// e >= 0 with Q(edge + e) = u Q(edge), Q the normal tail: the inverse tail below 3, where Q does not
// underflow, and three Halley steps on log Q(edge + e) - log Q(edge) = log u above.
__device__ inline double tail_excess(double edge, double u) {
    const double sqrt_half = 0.70710678118654752440, sqrt_2_over_pi = 0.79788456080286535588;
    if (edge < 3.0) return fmax(-ndtri(u * 0.5 * erfc(edge * sqrt_half)) - edge, 0.0);
    double log_u = log(u);
    double e = -2.0 * log_u / (edge + sqrt(edge * edge - 2.0 * log_u));
    double base = erfcx_positive(edge * sqrt_half);
    for (i32 step = 0; step < 3; step++) {
        double tail = erfcx_positive((edge + e) * sqrt_half);
        double hazard = sqrt_2_over_pi / tail;
        double g = log(tail / base) - edge * e - 0.5 * e * e - log_u;
        e += 2.0 * g / (2.0 * hazard - g * (hazard - (edge + e)));
    }
    return fmax(e, 0.0);
}
