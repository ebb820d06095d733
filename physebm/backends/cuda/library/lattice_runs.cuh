// Lattices in runs: a thread has sixteen units that follow each other in visiting order.
//
// States stand as bytes y + NONE, so that sums of neighbours are sums of bytes, four to a word, which no
// carry leaves: Ising 0 or 2, others 0 or 1; NONE itself stands where there is no unit, and behind the
// last. The neighbours d of sixteen units mostly follow each other as well and are read as 16 bytes from
// any place; where a lattice wraps, a list has their places.

struct alignas(16) Sixteen {
    u32 four[4];
};

__device__ __forceinline__ i32 byte_of(const Sixteen& bytes, i32 j) {
    return (i32)__byte_perm(bytes.four[j / 4], 0, 0x4440 + j % 4);
}

// Sixteen bytes that begin anywhere, from the words in which they stand.
__device__ __forceinline__ Sixteen bytes_from(const u8* y, i32 start) {
    const Sixteen* at = (const Sixteen*)(y + (start & ~15));
    const Sixteen here = at[0], next = at[1];
    u32 word[8];
#pragma unroll
    for (i32 k = 0; k < 8; k++) word[k] = k < 4 ? here.four[k] : next.four[k - 4];
#pragma unroll
    for (i32 k = 0; k < 6; k++) word[k] = start & 8 ? word[k + 2] : word[k];
#pragma unroll
    for (i32 k = 0; k < 5; k++) word[k] = start & 4 ? word[k + 1] : word[k];
    Sixteen found;
#pragma unroll
    for (i32 k = 0; k < 4; k++)
        found.four[k] = (u32)(((u64)word[k + 1] << 32 | word[k]) >> (8 * (start & 3)));
    return found;
}

// Runs that begin where words of sixteen bytes do: most of a large lattice.
__device__ __forceinline__ bool is_usual(i32 run) { return (run & (i32)0x8000000F) == 0; }

// The neighbours of sixteen units: from place `run` on, or where run < 0 from a list of places.
__device__ __forceinline__ Sixteen neighbours(const u8* y, i32 run, const i32* place) {
    if (is_usual(run)) return *(const Sixteen*)(y + run);
    if (run >= 0) return bytes_from(y, run);
    Sixteen found;
    place += -1 - run;
#pragma unroll
    for (i32 i = 0; i < 4; i++) {
        u32 four = 0;
#pragma unroll
        for (i32 k = 0; k < 4; k++) four |= (u32)y[place[4 * i + k]] << (8 * k);
        found.four[i] = four;
    }
    return found;
}

__device__ __forceinline__ void add(Sixteen& sum, Sixteen states) {
#pragma unroll
    for (i32 i = 0; i < 4; i++) sum.four[i] += states.four[i];
}

// sum_d (y_d + NONE) of sixteen units; `run` are those of their neighbours.
template <i32 DEGREE>
__device__ __forceinline__ Sixteen sum_of_neighbours(const u8* y, const i32* run, const i32* place) {
    static_assert(2 * DEGREE < 256, "sums of neighbours are bytes");
    constexpr i32 TOGETHER = DEGREE % 6 == 0 ? 6 : DEGREE % 4 == 0 ? 4 : DEGREE < 4 ? DEGREE : 1;
    Sixteen sum = {{0, 0, 0, 0}};
#pragma unroll 1
    for (i32 d = 0; d < DEGREE; d += TOGETHER) {
        i32 start[TOGETHER];
#pragma unroll
        for (i32 k = 0; k < TOGETHER; k++) start[k] = run[d + k];
#pragma unroll
        for (i32 k = 0; k < TOGETHER; k++) {
            if (is_usual(start[k]))
                add(sum, *(const Sixteen*)(y + start[k]));
            else
                add(sum, neighbours(y, start[k], place));
        }
    }
    return sum;
}

// field[j] = sum_j - none.
__device__ __forceinline__ void fields_of(const Sixteen& sum, i32 none, i32 (&field)[16]) {
#pragma unroll
    for (i32 j = 0; j < 16; j++) field[j] = byte_of(sum, j) - none;
}

// field[j] = sum_d w_d y_d, four neighbours at once: weight[g].four of unit j has the bytes w_4g .. w_4g+3.
template <i32 DEGREE>
__device__ __forceinline__ void weighted_neighbours(
    const u8* y, const i32* run, const i32* place, const Sixteen* weight, i32 (&field)[16]) {
#pragma unroll
    for (i32 j = 0; j < 16; j++) field[j] = 0;
#pragma unroll 2
    for (i32 g = 0; g < (DEGREE + 3) / 4; g++) {
        Sixteen states[4];
#pragma unroll
        for (i32 d = 0; d < 4; d++) {
            if (4 * g + d < DEGREE)
                states[d] = neighbours(y, run[4 * g + d], place);
            else
                states[d] = {{0, 0, 0, 0}};
        }
#pragma unroll
        for (i32 i = 0; i < 4; i++) {
            const Sixteen w = weight[4 * g + i];
            // of two neighbours and two units each, in turn
            const u32 low01 = __byte_perm(states[0].four[i], states[1].four[i], 0x5140);
            const u32 low23 = __byte_perm(states[2].four[i], states[3].four[i], 0x5140);
            const u32 high01 = __byte_perm(states[0].four[i], states[1].four[i], 0x7362);
            const u32 high23 = __byte_perm(states[2].four[i], states[3].four[i], 0x7362);
#pragma unroll
            for (i32 k = 0; k < 4; k++) {
                const u32 four = __byte_perm(k < 2 ? low01 : high01, k < 2 ? low23 : high23,
                                             k % 2 ? 0x7632 : 0x5410);
                const i32 sum = __dp4a((i32)four, (i32)w.four[k], field[4 * i + k]);
                field[4 * i + k] = NONE ? __dp4a(-1, (i32)w.four[k], sum) : sum;
            }
        }
    }
}

// index[j] = index[j] (2 range + 1) + field[j] + range: one more field in the table.
__device__ __forceinline__ void index_further(i32 (&index)[16], const i32 (&field)[16], i32 range) {
#pragma unroll
    for (i32 j = 0; j < 16; j++) index[j] = index[j] * (2 * range + 1) + field[j] + range;
}

// Sixteen numbers below 256 as bytes.
__device__ __forceinline__ Sixteen as_bytes(const i32 (&number)[16]) {
    Sixteen bytes = {{0, 0, 0, 0}};
#pragma unroll
    for (i32 j = 0; j < 16; j++) bytes.four[j / 4] |= (u32)number[j] << (8 * (j % 4));
    return bytes;
}

// One of two words passes to the thread whose number differs in `bit`, one comes from there.
__device__ __forceinline__ void exchange_one(u32& a, u32& b, i32 bit) {
    const bool upper = threadIdx.x & bit;
    const u32 taken = __shfl_xor_sync(~0u, upper ? a : b, bit);
    a = upper ? taken : a;
    b = upper ? b : taken;
}

// Word w of thread q of four passes to word q of thread w. Every thread of a warp calls.
__device__ __forceinline__ void transpose(Sixteen& words) {
    exchange_one(words.four[0], words.four[1], 1);
    exchange_one(words.four[2], words.four[3], 1);
    exchange_one(words.four[0], words.four[2], 2);
    exchange_one(words.four[1], words.four[3], 2);
}

// Keys of the ten rounds, of one lane: read from shared memory rather than made anew for each block, as
// the pipe that adds is the one that is busiest.
__device__ __forceinline__ u32* round_keys() {
    __shared__ Sixteen keys[5];
    return (u32*)keys;
}

__device__ __forceinline__ void make_keys(const Stream& stream) {
    EACH(i, 20) round_keys()[i] = i % 2 ? stream.k1 + i / 2 * 0xBB67AE85u : stream.k0 + i / 2 * 0x9E3779B9u;
}

// `words_of` with these keys.
__device__ __forceinline__ Words words_by_keys(u32 b, u32 sweep, u32 walker) {
    u32 c0 = b, c1 = walker, c2 = sweep, c3 = LAST;
#pragma unroll
    for (i32 round = 0; round < 10; round++) {
        const u64 p0 = (u64)0xD2511F53u * c0, p1 = (u64)0xCD9E8D57u * c2;
        c0 = (u32)(p1 >> 32) ^ c1 ^ round_keys()[2 * round];
        c1 = (u32)p1;
        c2 = (u32)(p0 >> 32) ^ c3 ^ round_keys()[2 * round + 1];
        c3 = (u32)p0;
    }
    return {{c0, c1, c2, c3}};
}

// New states of run r, r = threadIdx.x modulo 4: up where a random word is below the threshold of a unit's
// index. Four threads have the runs of a chunk of 64; its random blocks cross them, so that the threads
// exchange indices, decide for four units of each run, and exchange the states. `table` has the threshold
// of index 0. Every thread of a warp calls.
__device__ __forceinline__ Sixteen decided(
    const u8* y, const i64* table, Sixteen index, i32 r, u32 sweep, const Stream& stream) {
    if (WITH_STATE) {
        const Sixteen present = ((const Sixteen*)y)[r];
#pragma unroll
        for (i32 i = 0; i < 4; i++)
            index.four[i] = 2 * index.four[i] + (present.four[i] / UP & 0x01010101u);
    }
#pragma unroll
    for (i32 i = 0; i < 4; i++) index.four[i] *= SCALE;
    transpose(index);
    Sixteen drawn = {{0, 0, 0, 0}};
#pragma unroll
    for (i32 k = 0; k < 4; k++) {
        Words random = {{0, 0, 0, 0}};
        if (DRAWS) random = words_by_keys(16 * (r >> 2) + 4 * (r & 3) + k, sweep, stream.walker);
#pragma unroll
        for (i32 w = 0; w < 4; w++) {
            const i32 offset = byte_of(index, 4 * w + k) * (STEP / SCALE);
            const i64 threshold = *(const i64*)((const u8*)table + offset);
            // the upper half of the difference is its sign, all ones or zero
            const u32 up = (u32)(((i64)random.word[w] - threshold) >> 32);
            drawn.four[w] |= up & ((u32)UP << (8 * k));
        }
    }
    transpose(drawn);
    return drawn;
}

// sum_j field_j y_j of run r.
__device__ __forceinline__ i32 times_states(const u8* y, const i32 (&field)[16], i32 r) {
    const Sixteen present = ((const Sixteen*)y)[r];
    i32 sum = 0;
#pragma unroll
    for (i32 j = 0; j < 16; j++) sum += field[j] * (byte_of(present, j) - NONE);
    return sum;
}
