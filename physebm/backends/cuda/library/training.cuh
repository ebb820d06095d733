// Passes of one update of a machine of two groups of two-state units, between and after its two products.
// Definitions and order: physebm/backends/cuda/training.py, physebm/learning/machine.py.
//
// Arrays that are trained stand in one row of doubles, W [n, m], then a [n], then b [m]; so do gradients
// and what an optimiser remembers. Rows of configurations come in segments of SEGMENT, samples before
// chains, none with both; what a segment lacks counts nothing. Sums: a thread adds in order, threads of a
// block by `block_sum`; nothing depends on which block comes first.

constexpr i32 SEGMENT = 32;  // rows
constexpr i32 BAND = 4;      // rows of W

enum Rule : i64 { SGD = 0, MOMENTUM = 1, ADAM = 2 };

struct Parameters {
    const i8* data;         // [sample, n]
    const i8* states;       // [lane, n], visible configurations of the chains
    const i64* rows;        // [samples], those of this update among the data; 0: all
    const i64* lanes;       // [chains], those at the trained model; 0: all
    float* X;               // [row, n]
    float* p;               // [row, m], products in, means with their weights out
    const float* product;   // [n, m], sum over the last rows
    double* total;          // [n, m], sum over all rows before them; 0: there are none
    double* v_sums;         // [segment, n]
    double* h_sums;         // [segment, m]
    double* mu_v;           // [n], offsets; zeros where nothing is centred
    double* mu_h;           // [m]
    const double* now;      // [n m + n + m]
    double* next;           // the arrays after the step
    double* gradient;       // then the directions of the step
    double* first;          // moments of the optimiser
    double* second;
    double* squares;        // [n], of the gradient, the couplings and the field of a visible unit
    double* shifts;         // [band, m], mu_v . direction
    double* told;           // norm, factor of clipping, numbers out of range [band + m]
    float* to_b;            // [n, m], the couplings as chains read them
    float* to_a;            // [m, n]
    double* field_a;        // [n]
    double* field_b;        // [m]
    i64 n, m, samples, chains;
    i64 ising;              // whether hidden units are -1 or 1; else 0 or 1
    i64 centred;
    i64 fresh;              // whether mu_h begins with these samples
    i64 rule;
    double follow;          // weight of these samples in mu_h
    double l1_W, l1_a, l1_b, l2_W, l2_a, l2_b;
    double clip;            // 0: any norm
    double rate, decay1, decay2, spread, epsilon;
    double largest;         // beyond it, no number is left in an array
};

struct Segment {
    i64 first;
    i32 count;
    bool of_samples;
};

__device__ inline i64 segments(i64 rows) { return (rows + SEGMENT - 1) / SEGMENT; }

__device__ inline Segment segment_of(const Parameters& p, i64 s) {
    const i64 before = segments(p.samples);
    const bool of_samples = s < before;
    const i64 first = (of_samples ? s : s - before) * SEGMENT;
    const i64 left = (of_samples ? p.samples : p.chains) - first;
    return {first, (i32)(left < SEGMENT ? left : SEGMENT), of_samples};
}

// Column of a thread where `tiles` blocks stand side by side over the columns of a segment.
__device__ inline i32 column(i32 tiles) { return blockIdx.x % tiles * blockDim.x + threadIdx.x; }

// Rows of the segments from `first` on, as numbers, and their sums.
extern "C" __global__ void gather_rows(const Parameters p, i32 first, i32 tiles) {
    const i32 i = column(tiles), place = blockIdx.x / tiles;
    if (i >= p.n) return;
    const Segment rows = segment_of(p, first + place);
    const i64* chosen = rows.of_samples ? p.rows : p.lanes;
    const i8* source = rows.of_samples ? p.data : p.states;
    float* X = p.X + (i64)place * SEGMENT * p.n + i;
    i32 sum = 0;
    for (i32 k = 0; k < SEGMENT; k++) {
        i32 x = 0;
        if (k < rows.count) {
            const i64 row = rows.first + k;
            x = source[(chosen ? chosen[row] : row) * p.n + i];
        }
        sum += x;
        X[k * p.n] = x;
    }
    p.v_sums[(i64)(first + place) * p.n + i] = sum;
}

// Conditional means of hidden units times the weight of their row, and sums of the means alone.
extern "C" __global__ void hidden_means(const Parameters p, i32 first, i32 tiles) {
    const i32 j = column(tiles), place = blockIdx.x / tiles;
    if (j >= p.m) return;
    const Segment rows = segment_of(p, first + place);
    const float weight = rows.of_samples ? 1.0f / p.samples : -1.0f / p.chains;
    const float b = (float)p.now[p.n * p.m + p.n + j];
    float* theta = p.p + (i64)place * SEGMENT * p.m + j;
    double sum = 0.0;
    for (i32 k = 0; k < SEGMENT; k++) {
        float weighted = 0.0f;
        if (k < rows.count) {
            const float field = theta[k * p.m] + b;
            const float mean = p.ising ? tanhf(field) : 0.5f * tanhf(0.5f * field) + 0.5f;
            sum += mean;
            weighted = weight * mean;
        }
        theta[k * p.m] = weighted;
    }
    p.h_sums[(i64)(first + place) * p.m + j] = sum;
}

// Sums over more rows than one product takes.
extern "C" __global__ void add_product(const Parameters p, i32 begins) {
    const i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at < p.n * p.m) p.total[at] = (begins ? 0.0 : p.total[at]) + p.product[at];
}

// The gradient of - l1 |x| - l2 x^2 / 2.
__device__ inline double pull(double x, double l1, double l2) {
    return -l2 * x - l1 * ((x > 0.0) - (x < 0.0));
}

// Gradients of the fields; the hidden offsets move towards these samples.
extern "C" __global__ void field_gradients(const Parameters p, i32 unused) {
    i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= p.n + p.m) return;
    const bool visible = at < p.n;
    const i64 width = visible ? p.n : p.m, unit = visible ? at : at - p.n;
    const double* sums = visible ? p.v_sums : p.h_sums;
    const i64 of_samples = segments(p.samples), all = of_samples + segments(p.chains);
    double data = 0.0, model = 0.0;
    for (i64 s = 0; s < of_samples; s++) data += sums[s * width + unit];
    for (i64 s = of_samples; s < all; s++) model += sums[s * width + unit];
    data /= p.samples;
    if (p.centred && !visible) {
        const double old = p.fresh ? data : p.mu_h[unit];
        p.mu_h[unit] = old + p.follow * (data - old);
    }
    at += p.n * p.m;
    const double l1 = visible ? p.l1_a : p.l1_b, l2 = visible ? p.l2_a : p.l2_b;
    p.gradient[at] = data - model / p.chains + pull(p.now[at], l1, l2);
}

// Gradients of the couplings of unit blockIdx.x, about the offsets, and the squares of all of its own.
extern "C" __global__ void coupling_gradient(const Parameters p, i32 unused) {
    DYNAMIC_SHARED(double, room);
    const i64 i = blockIdx.x;
    const double* v = p.gradient + p.n * p.m;
    const double* h = v + p.n;
    double square = threadIdx.x == 0 ? v[i] * v[i] : 0.0;
    EACH(j, p.m) {
        const i64 at = i * p.m + j;
        double g = p.product[at];
        if (p.total) g += p.total[at];
        g -= p.mu_v[i] * h[j] + v[i] * p.mu_h[j];
        g += pull(p.now[at], p.l1_W, p.l2_W);
        p.gradient[at] = g;
        square += g * g;
    }
    square = block_sum(square, room);
    if (threadIdx.x == 0) p.squares[i] = square;
}

// The norm of the gradient, and by what it is multiplied.
extern "C" __global__ void gradient_norm(const Parameters p, i32 unused) {
    DYNAMIC_SHARED(double, room);
    const double* h = p.gradient + p.n * p.m + p.n;
    double square = 0.0;
    EACH(i, p.n) square += p.squares[i];
    EACH(j, p.m) square += h[j] * h[j];
    const double length = sqrt(block_sum(square, room));
    if (threadIdx.x == 0) {
        p.told[0] = length;
        p.told[1] = p.clip > 0.0 && length > p.clip ? p.clip / length : 1.0;
    }
}

// The direction of the optimiser for one number, of physebm/learning/optimisers.py.
__device__ inline double direction(const Parameters& p, i64 at) {
    const double g = p.gradient[at] * p.told[1];
    if (p.rule == SGD) return g;
    if (p.rule == MOMENTUM) return p.first[at] = p.first[at] * p.decay1 + g;
    p.first[at] = p.first[at] * p.decay1 + (1.0 - p.decay1) * g;
    p.second[at] = p.second[at] * p.decay2 + (1.0 - p.decay2) * g * g;
    return p.first[at] / (sqrt(p.second[at]) / p.spread + p.epsilon);
}

// 1 for what has left the range of numbers, nan too.
__device__ inline double beyond(const Parameters& p, double x) { return !(fabs(x) <= p.largest); }

// BAND rows of W and their visible fields one step on; couplings are written both ways.
extern "C" __global__ void climb(const Parameters p, i32 unused) {
    DYNAMIC_SHARED(double, room);
    const i64 start = (i64)blockIdx.x * BAND, fields = p.n * p.m;
    double own[BAND] = {}, out_of_range = 0.0;
    EACH(j, p.m) {
        double shift = 0.0;
#pragma unroll
        for (i32 k = 0; k < BAND; k++) {
            const i64 i = start + k, at = i * p.m + j;
            if (i >= p.n) continue;
            const double d = direction(p, at), w = p.now[at] + p.rate * d;
            own[k] += d * p.mu_h[j];
            shift += p.mu_v[i] * d;
            p.next[at] = w;
            p.to_b[at] = (float)w;
            p.to_a[j * p.n + i] = (float)w;
            out_of_range += beyond(p, w);
        }
        p.shifts[blockIdx.x * p.m + j] = shift;
    }
#pragma unroll
    for (i32 k = 0; k < BAND; k++) {
        const double taken = block_sum(own[k], room);
        const i64 i = start + k, at = fields + i;
        if (threadIdx.x || i >= p.n) continue;
        const double a = p.now[at] + p.rate * (direction(p, at) - taken);
        p.next[at] = p.field_a[i] = a;
        out_of_range += beyond(p, a);
    }
    out_of_range = block_sum(out_of_range, room);
    if (threadIdx.x == 0) p.told[2 + blockIdx.x] = out_of_range;
}

// The field of hidden unit blockIdx.x one step on.
extern "C" __global__ void hidden_fields(const Parameters p, i32 unused) {
    DYNAMIC_SHARED(double, room);
    const i64 j = blockIdx.x, at = p.n * p.m + p.n + j, bands = (p.n + BAND - 1) / BAND;
    double shift = 0.0;
    EACH(band, bands) shift += p.shifts[band * p.m + j];
    shift = block_sum(shift, room);
    if (threadIdx.x == 0) {
        const double b = p.now[at] + p.rate * (direction(p, at) - shift);
        p.next[at] = p.field_b[j] = b;
        p.told[2 + bands + j] = beyond(p, b);
    }
}
