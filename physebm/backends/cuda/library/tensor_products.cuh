// Fields F = x J by tensor cores, for sources of two states or one-hot; lanes and units as in tiles.cuh.
//
// bf16 holds states exactly, and a float is the exact sum of three bf16 numbers: the couplings lie in
// three planes, and every product is exact. Tensor cores round their sums towards zero: they add the 32
// sources of a word, sums of words are added as floats. Always in that order, whatever the tile. A warp
// multiplies 16 lanes by 16 sources by 8 units at a time (PTX, mma.m16n8k16: thread 4 g + c has lanes g
// and g + 8; of sources and units those below).
//
// Sources are bits, 32 in a word. Of a word, step s (0 or 1) takes in pair c + 4 h, h = 0 or 1, the bits
// 8 s + 4 h + c and 16 more. Column n of tile j (0 or 1) is the unit of block 4 warp + n / 2 whose word is
// 2 j + n % 2.

struct alignas(16) Fragments {
    u32 of[4];  // [2 j + h], two bf16 couplings
};

__device__ __forceinline__ i64 words_of_bits(i64 units) { return (units + 31) / 32; }

// How many fragments couplings take: [panel, word, s, plane, thread of four warps].
__device__ __forceinline__ i64 fragments_of(i64 sources, i64 width) {
    return (width + 63) / 64 * words_of_bits(sources) * 2 * 3 * 128;
}

// A plane of a coupling, as bf16: each takes the next eight binary digits.
__device__ __forceinline__ u32 plane_of(float coupling, i32 plane) {
    for (i32 n = 0; n < plane; n++) {
        coupling -= __uint_as_float(__float_as_uint(coupling) & 0xFFFF0000u);
    }
    return __float_as_uint(coupling) >> 16;
}

// Lay out couplings J[source, unit] in planes; all threads of the grid share them out.
template <bool SIGNS>
__device__ inline void split_couplings(Fragments* planes, const float* J, i64 sources, i64 width) {
    const i64 words = words_of_bits(sources), count = fragments_of(sources, width);
    const float scale = SIGNS ? 1.0f : 0.5f;
    for (i64 e = (i64)blockIdx.x * blockDim.x + threadIdx.x; e < count;
         e += (i64)gridDim.x * blockDim.x) {
        const i32 thread = e % 32, warp = e / 32 % 4, plane = e / 128 % 3, s = e / 384 % 2;
        const i64 word = e / 768 % words, panel = e / 768 / words;
        const i32 n = thread / 4;
        for (i32 part = 0; part < 4; part++) {
            const i32 j = part / 2, h = part % 2;
            const i64 unit = 64 * panel + 4 * warp + n / 2 + 16 * (2 * j + n % 2);
            const i64 low = 32 * word + 8 * s + 4 * h + thread % 4, high = low + 16;
            const float first = unit < width && low < sources ? J[low * width + unit] : 0.0f;
            const float second = unit < width && high < sources ? J[high * width + unit] : 0.0f;
            planes[e].of[part] =
                plane_of(scale * first, plane) | plane_of(scale * second, plane) << 16;
        }
    }
}

// Write the states of the tile's lanes as bits [word, place % 8, place / 8]: 1 where a state is high, or
// one of q bits for each unit of q named states. Every thread calls, after a barrier behind the draws, and
// waits for the others.
template <class State>
__device__ inline void pack_states(u32* bits, const State* x, i64 units, i32 q, const Tile& tile) {
    const i64 numbers = q ? q * units : units;
    const i32 words = words_of_bits(numbers);
    for (i32 e = threadIdx.x / 32; e < words * TILE; e += THREADS / 32) {
        const i32 place = e % TILE, number = e / TILE * 32 + threadIdx.x % 32;
        const State* row = x + tile.lane[place] * units;
        bool set = false;
        if (number < numbers) set = q ? row[number / q] == number % q : row[number] > 0;
        const u32 packed = __ballot_sync(~0u, set);
        if (threadIdx.x % 32 == 0) bits[e / TILE * TILE + ROWS * (place % 8) + place / 8] = packed;
    }
    __syncthreads();
}

// Two sources as bf16: -1 and 1, or 0 and 2, a number of one bit, for which couplings are halved.
template <bool SIGNS> __device__ __forceinline__ u32 states_of(u32 word, i32 bit) {
    const u32 turned = __funnelshift_l(word, word, (SIGNS ? 15 : 14) - bit);
    return SIGNS ? turned & 0x80008000u ^ 0xBF80BF80u : turned & 0x40004000u;
}

// d += a b of 16 lanes, 16 sources, 8 units.
__device__ __forceinline__ void multiply_tile(float& d0, float& d1, float& d2, float& d3,
                                              const u32 (&a)[4], u32 b0, u32 b1) {
#ifdef __CUDA_ARCH__
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d0), "+f"(d1), "+f"(d2), "+f"(d3)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    shim::multiply_bf16(d0, d1, d2, d3, a, b0, b1);
#endif
}

// f = sum_j x_j J[j, unit] for the units of a pass that begins at `start`; every thread calls.
template <bool SIGNS>
__device__ inline void tensor_product(Fields& f, const u32* bits, i64 sources, const Fragments* planes,
                                      i64 width, i32 start) {
    __syncwarp();  // the draws before may have left threads of a warp apart, and mma takes them together
    float sum[ROWS][4] = {};
    const i64 words = words_of_bits(sources), panel = start / 64 + threadIdx.x / 128;
    if (64 * panel < width) {
        const Fragments* here = planes + panel * words * 768 + threadIdx.x % 128;
        bits += ROWS * (threadIdx.x % 32 / 4);
        Fragments next[3] = {here[0], here[128], here[256]};
        for (i64 word = 0; word < words; word++, bits += TILE) {
            u32 x[ROWS];
#pragma unroll
            for (i32 r = 0; r < ROWS; r++) x[r] = bits[r];
            float part[ROWS][4] = {};
#pragma unroll
            for (i32 s = 0; s < 2; s++) {
                const Fragments J[3] = {next[0], next[1], next[2]};
                here += 384;
                if (s == 0 || word + 1 < words) {
#pragma unroll
                    for (i32 plane = 0; plane < 3; plane++) next[plane] = here[128 * plane];
                }
#pragma unroll
                for (i32 r = 0; r < ROWS; r += 2) {
                    const i32 bit = 8 * s + threadIdx.x % 4;
                    const u32 a[4] = {states_of<SIGNS>(x[r], bit), states_of<SIGNS>(x[r + 1], bit),
                                      states_of<SIGNS>(x[r], bit + 4), states_of<SIGNS>(x[r + 1], bit + 4)};
#pragma unroll
                    for (i32 plane = 0; plane < 3; plane++)
#pragma unroll
                        for (i32 j = 0; j < 2; j++)
                            multiply_tile(part[r][2 * j], part[r][2 * j + 1], part[r + 1][2 * j],
                                          part[r + 1][2 * j + 1], a, J[plane].of[2 * j],
                                          J[plane].of[2 * j + 1]);
                }
            }
#pragma unroll
            for (i32 r = 0; r < ROWS; r++)
#pragma unroll
                for (i32 w = 0; w < 4; w++) sum[r][w] += part[r][w];
        }
    }
    set_fields(f, sum);
}
