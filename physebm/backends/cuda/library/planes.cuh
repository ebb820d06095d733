// Bit-sliced lattices: 32 lanes in the bits of a word, one word for each unit.
//
// Words of lanes that differ in the walker alone share their random blocks; each lane has bits of its
// own (physebm/lowering/plan.py). Units are numbered in the order in which they are drawn, so that
// neighbouring threads have neighbouring units of a colour class. Row `units` of a word's planes is
// zero: it stands for neighbours that are not there. Of neighbour j of unit i the plane
// `x_j ^ (J_ij is -1)` is set where it pulls up; how many pull says which row of thresholds is a lane's
// own, and "random word < threshold" is decided digit by digit, most significant first: twelve digits at
// once, which leave a lane open once in 4096, then four at a time while a lane of the thread is open.

constexpr i32 ROW = 9;  // a threshold's digits in fours; the ninth has its first digit, of 2^32: certain
constexpr i32 STATES = METROPOLIS ? 2 : 1;  // thresholds of a field: of units that are down and up now
constexpr i32 STRIDE = ISING ? 2 : 1;       // from the field of one count to that of the next
constexpr i32 DIGITS = digits_of(DEGREE);   // of a count
constexpr u32 AT_ONCE = 3;                  // fours of digits that every unit draws

struct alignas(16) Four {
    u32 word[4];
};

// What belongs to one word of lanes.
struct Chain {
    const Index* near;  // [DEGREE, units]
    const u32* signs;   // [unit], bit d set where the coupling to neighbour d is -1
    const u16* row;     // [unit], row of thresholds of the count 0; not read where it is 0
    const i32* classes; // [class + 1, 2], first unit and its draw position
    Stream stream;      // walker / 32 and key
    i32 units;
};

__device__ __forceinline__ Chain chain_of(const Parameters& p, i64 word) {
    const i64 g = p.graph[word];
    Chain chain;
    chain.units = (i32)p.units;
    chain.near = p.near + g * DEGREE * p.units;
    chain.signs = SIGNED ? p.signs + p.sign_row[word] * p.units : 0;
    chain.row = REGULAR ? 0 : p.row + g * p.units;
    chain.classes = p.first + g * 2 * (p.classes + 1);
    chain.stream = {p.stream[3 * word], p.stream[3 * word + 1], p.stream[3 * word + 2]};
    return chain;
}

// Digits of the lanes' thresholds as planes, M[row, ROW]; every thread of the block calls.
__device__ inline void make_thresholds(const Parameters& p, i64 word, Four* M) {
    __shared__ i64 table_row[32];
    EACH(bit, 32) {
        const i64 lane = p.lane_of[32 * word + bit];
        table_row[bit] = lane < 0 ? -1 : p.rung[lane] * p.entries;
    }
    __syncthreads();
    u32* plane = (u32*)M;
    EACH(i, 4 * ROW * p.rows) {
        const i32 entry = p.entry[i / (4 * ROW)], digit = i % (4 * ROW);
        const i32 place = digit < 32 ? 31 - digit : digit;
        u32 bits = 0;
        if (entry >= 0 && digit <= 32)
            for (i32 bit = 0; bit < 32; bit++)
                if (table_row[bit] >= 0)
                    bits |= (u32)(p.table[table_row[bit] + entry] >> place & 1) << bit;
        plane[i] = bits;
    }
    __syncthreads();
}

// Four digits of each lane's own threshold, of several units; M is the place of these digits in the row
// of count 0, which the units share.
template <i32 UNITS> __device__ __forceinline__ void own_digits(
    const Four* M, const u32 (&count)[UNITS][DIGITS], const u32 (&old)[UNITS], Four (&own)[UNITS]) {
    Four row[DEGREE + 1];
#pragma unroll
    for (i32 state = 0; state < STATES; state++) {
#pragma unroll
        for (i32 k = 0; k <= DEGREE; k++) row[k] = M[(k * STRIDE * STATES + state) * ROW];
#pragma unroll
        for (i32 u = 0; u < UNITS; u++) {
#pragma unroll
            for (i32 w = 0; w < 4; w++) {
                u32 digit[DEGREE + 1];
#pragma unroll
                for (i32 k = 0; k <= DEGREE; k++) digit[k] = row[k].word[w];
                const u32 chosen = pick<DEGREE + 1, DIGITS - 1>(digit, count[u]);
                own[u].word[w] = state ? either(old[u], chosen, own[u].word[w]) : chosen;
            }
        }
    }
}

// Draws units i, i + step, .. of a colour class, whose draw positions are `shift` more.
template <i32 UNITS> __device__ __forceinline__ void draw(
    const Chain& chain, const Four* M, u32* x, i32 i, i32 step, i32 shift, u32 sweep) {
    u32 count[UNITS][DIGITS], old[UNITS], below[UNITS], open[UNITS];
    Four own[UNITS];
#pragma unroll
    for (i32 u = 0; u < UNITS; u++) {
        const i32 unit = i + u * step;
        const u32 signs = SIGNED ? __ldg(chain.signs + unit) : 0;
        u32 pull[DEGREE];
#pragma unroll
        for (i32 d = 0; d < DEGREE; d++) {
            pull[d] = x[__ldg(chain.near + (i64)d * chain.units + unit)];
            if (SIGNED) pull[d] ^= spread(signs, d);
        }
        count_planes<DEGREE>(pull, count[u]);
        old[u] = METROPOLIS ? x[unit] : 0;
    }
    if (!REGULAR) M += (i32)__ldg(chain.row + i) * STATES * ROW;
    own_digits<UNITS>(M + 8, count, old, own);
#pragma unroll
    for (i32 u = 0; u < UNITS; u++) {
        below[u] = own[u].word[0];
        open[u] = ~below[u];
    }
    auto four_digits_on = [&](u32 draw) {
        const Stream& s = chain.stream;
        own_digits<UNITS>(M + draw, count, old, own);
        u32 undecided = 0;
#pragma unroll
        for (i32 u = 0; u < UNITS; u++) {
            const u32 position = i + u * step + shift;
            const Words random = philox4x32(position, s.walker, sweep, LAST | draw, s.k0, s.k1);
            u32 less = 0, equal = ~0u;
#pragma unroll
            for (i32 w = 3; w >= 0; w--) {
                const u32 same = ~(own[u].word[w] ^ random.word[w]);
                less = (own[u].word[w] & ~random.word[w]) | (same & less);
                equal &= same;
            }
            below[u] |= open[u] & less;
            open[u] &= equal;
            undecided |= open[u];
        }
        return undecided;
    };
    u32 undecided = 0;
#pragma unroll
    for (u32 draw = 0; draw < AT_ONCE; draw++) undecided = four_digits_on(draw);
    for (u32 draw = AT_ONCE; undecided && draw < 8; draw++) undecided = four_digits_on(draw);
#pragma unroll
    for (i32 u = 0; u < UNITS; u++) x[i + u * step] = below[u];
}

// A thread's units of a colour class: i, i + step, .. below `end`. Two at a time read thresholds once.
__device__ __forceinline__ void draw_all(
    const Chain& chain, const Four* M, u32* x, i32 i, i32 step, i32 end, i32 shift, u32 sweep) {
    if (REGULAR && DEGREE <= 8)  // more would take too many registers
        for (; i + step < end; i += 2 * step) draw<2>(chain, M, x, i, step, shift, sweep);
    for (; i < end; i += step) draw<1>(chain, M, x, i, step, shift, sweep);
}

// Adds the sums of units begin .. end-1 to total[2][lane], every thread of the block helping: of Ising
// units how many of their bonds are unsatisfied, otherwise how many neighbours are up beside them, so
// that every bond counts twice; and how many units are up.
__device__ inline void add_sums(const Chain& chain, const u32* x, i32 begin, i32 end, u32* total) {
    constexpr i32 FULL = ((1 << COUNTER) - 1) / DEGREE;
    Counter bonds, ups;
    clear(bonds);
    clear(ups);
    i32 steps = 0;
    for (i32 base = begin; base < end; base += blockDim.x) {
        const i32 i = base + threadIdx.x;
        if (i < end) {
            const u32 own = x[i], signs = SIGNED ? __ldg(chain.signs + i) : 0;
            u32 found[DEGREE], count[DIGITS];
#pragma unroll
            for (i32 d = 0; d < DEGREE; d++) {
                const i32 j = __ldg(chain.near + (i64)d * chain.units + i);
                const u32 differ = x[j] ^ own ^ (SIGNED ? spread(signs, d) : 0);
                found[d] = !ISING ? x[j] & own : j < chain.units ? differ : 0;
            }
            count_planes<DEGREE>(found, count);
            add<DIGITS>(bonds, count);
            if (FIELD_TERM >= 0) add<1>(ups, &own);
        }
        if (++steps < FULL && base + (i32)blockDim.x < end) continue;
        add_to_total(bonds, steps * DEGREE, total);
        if (FIELD_TERM >= 0) add_to_total(ups, steps, total + 32);
        clear(bonds);
        clear(ups);
        steps = 0;
    }
}

// Bare term energies of the lanes of a word; exact integers.
template <class Number>
__device__ inline void write_energies(const Parameters& p, i64 word, const Number* total) {
    EACH(bit, 32) {
        const i64 lane = p.lane_of[32 * word + bit];
        if (lane < 0) continue;
        const i64 pairs = (i64)total[bit], ups = (i64)total[32 + bit];
        double* E = p.E + lane * TERMS;
        E[PAIR_TERM] = (double)(ISING ? pairs - p.bonds[p.graph[word]] : -pairs / 2);
        if (FIELD_TERM >= 0) E[FIELD_TERM] = (double)(ISING ? p.units - 2 * ups : -ups);
    }
}

// Block b of the grid has word b / share and takes one of `share` parts of its units.
struct Part {
    i64 word;
    i32 first, step;
};

__device__ __forceinline__ Part part_of(i32 share) {
    return {blockIdx.x / share, (i32)(blockIdx.x % share * blockDim.x + threadIdx.x),
            (i32)(share * blockDim.x)};
}

// Configurations x[lane, unit] into planes.
extern "C" __global__ void pack(const Parameters p, i32 share) {
    const Part part = part_of(share);
    const i32* unit = p.unit + p.graph[part.word] * p.units;
    u32* planes = p.planes + part.word * (p.units + 1);
    for (i32 i = part.first; i <= p.units; i += part.step) {
        u32 plane = 0;
        for (i32 bit = 0; bit < 32 && i < p.units; bit++) {
            const i64 lane = p.lane_of[32 * part.word + bit];
            if (lane >= 0) plane |= (u32)(p.x[lane * p.units + unit[i]] > 0) << bit;
        }
        planes[i] = plane;
    }
}

// Planes into configurations x[lane, unit].
extern "C" __global__ void unpack(const Parameters p, i32 share) {
    const Part part = part_of(share);
    const i32* unit = p.unit + p.graph[part.word] * p.units;
    const u32* planes = p.planes + part.word * (p.units + 1);
    for (i32 i = part.first; i < p.units; i += part.step) {
        const u32 plane = planes[i];
        for (i32 bit = 0; bit < 32; bit++) {
            const i64 lane = p.lane_of[32 * part.word + bit];
            if (lane >= 0) p.x[lane * p.units + unit[i]] = plane >> bit & 1 ? 1 : (ISING ? -1 : 0);
        }
    }
}
