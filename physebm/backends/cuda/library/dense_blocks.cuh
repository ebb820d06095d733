// Units that all interact, drawn one after the other, in tiles of lanes and blocks of 64 units.
//
// Fields of a block come from all their sources at once, as a product of matrices. Warp v of the eight
// adds up chunks v, v + 8, .. of 32 sources, and the sums of the warps are added in a fixed tree: no bit
// of a lane depends on its tile. A thread has the four units of one block of words (those of
// position_of(b, 0 .. 3)) in half of the lanes:
//
//     lanes     OWN (thread of the warp / 16) + r      r = 0 .. OWN - 1
//     block     start / 4 + thread % 16                of the 16 of a block of units
//
// Couplings go from global memory to the registers of the one warp that needs them; numbers of the lanes
// stand in shared memory, where sixteen threads read the same ones. Then the units are drawn: by one
// warp, a thread for each lane, from margins, which are gaps minus logistic noise. A unit is up where its
// margin is positive; its step changes the margins of the units of the block that come later.

constexpr i32 BLOCK = 64, DEPTH = 32, WARPS = THREADS / 32, OWN = TILE / 2, GROUP = 8;
constexpr i32 AT_ONCE = OWN < 16 ? 32 / OWN : 1;  // sources whose couplings are on their way together
static_assert(WARPS == 8 && UNITS == 2 * BLOCK, "sums of warps are added in a tree of eight");

typedef Number Sums[OWN][4];

struct alignas(16) Four {
    Number value[4];
};

// What the threads of a block share.
struct alignas(16) Room {
    union {
        Number stage[WARPS][DEPTH][TILE];  // numbers of the lanes, of a warp's chunk of sources
        Number part[4][TILE][BLOCK];       // sums of the warps
    };
    alignas(16) float within[BLOCK][BLOCK];  // couplings of the units of the block
    Number steps[BLOCK][TILE];               // new state - old state
    Number earlier[TILE][BLOCK];             // fields from the blocks before
    float margins[BLOCK][TILE + 1];
    float rise[TILE];  // of the gap with the field: the lane's coefficient, times HIGH - LOW
    double pairs[TILE];
    Stream stream[TILE];
    Tile tile;
};

__device__ __forceinline__ float add_product(float x, float J, float sum) { return fmaf(x, J, sum); }
__device__ __forceinline__ i32 add_product(i32 x, i32 J, i32 sum) { return x * J + sum; }

// A coupling as a number. A byte becomes a float by an addition to 1.5 2^23, whose last digits are ones:
// conversions take a card eight times as long.
__device__ __forceinline__ void convert(float J, float& number) { number = J; }
__device__ __forceinline__ void convert(i8 J, i32& number) { number = J; }
__device__ __forceinline__ void convert(i8 J, float& number) {
#ifdef __CUDA_ARCH__
    number = __int_as_float(0x4B400000 + J) - 12582912.0f;
#else
    number = J;
#endif
}

// State of the lane at a place; bit `place` of a unit's word says whether it is up.
__device__ __forceinline__ i32 state_at(u32 word, i32 place) {
    return word >> place & 1 ? HIGH : LOW;
}

// log(u / (1 - u)) of the number u of a word, off by at most 3e-7 (1 + |noise|): with v the smaller of u
// and 1 - u, which a float holds to 2^-24 of itself.
__device__ __forceinline__ float logistic_noise(u32 word) {
    const bool upper = word >> 31;
    const float v = fmaf((float)(upper ? ~word : word), 2.3283064365386962890625e-10f,
                         1.16415321826934814453125e-10f);
    const float size = log1pf(-v) - logf(v);
    return upper ? size : -size;
}

// The words of all units, zero for units that fill the last block.
__device__ inline void take_states(u32* ups, const i8* x, i64 n, const Tile& tile) {
    EACH(i, (n + BLOCK - 1) / BLOCK * BLOCK) {
        u32 word = 0;
        for (i32 place = 0; place < TILE && i < n; place++)
            word |= (u32)(x[tile.lane[place] * n + i] == HIGH) << place;
        ups[i] = word;
    }
    __syncthreads();
}

__device__ inline void put_states(i8* x, const u32* ups, i64 n, const Tile& tile) {
    for (i32 place = 0; place < tile.size; place++)
        EACH(i, n) x[tile.lane[place] * n + i] = state_at(ups[i], place);
}

// States of a chunk of sources as numbers, for the warp that stages them.
__device__ __forceinline__ void stage_states(Number (&stage)[DEPTH][TILE], const u32* ups, i64 first) {
    const i32 place = threadIdx.x % 32;
    __syncwarp();
    if (place < TILE)
        for (i32 d = 0; d < DEPTH; d++) stage[d][place] = state_at(ups[first + d], place);
    __syncwarp();
}

// Couplings of some sources on their way to the registers of a thread, while others are multiplied.
template <class Coupling> struct Arriving {
    const Coupling* J;  // the row of the first source
    i32 width, count, unit[4];
    Number coupling[AT_ONCE][4];

    __device__ __forceinline__ Arriving(const Coupling* rows, i64 numbers, i64 start, i32 sources)
        : J(rows), width(numbers), count(sources) {
#pragma unroll
        for (i32 w = 0; w < 4; w++) {
            unit[w] = start + threadIdx.x % 16 + 16 * w;
            if (unit[w] >= width) unit[w] = width - 1;  // read, and not used
        }
    }

    __device__ __forceinline__ void fetch(i32 first) {
#pragma unroll
        for (i32 n = 0; n < AT_ONCE; n++) {
            const Coupling* row = J + (first + n < count ? first + n : count - 1) * width;
#pragma unroll
            for (i32 w = 0; w < 4; w++) convert(row[unit[w]], coupling[n][w]);
        }
    }
};

// sum[r][w] += x[d][lane r] J[d][unit w] of `count` sources; J points to the row of the first.
template <class Coupling>
__device__ __forceinline__ void multiply_add(Sums& sum, const Number (*x)[TILE], const Coupling* J,
                                             i64 width, i64 start, i32 count) {
    const i32 lanes = threadIdx.x % 32 / 16 * OWN;
    Arriving<Coupling> next(J, width, start, count);
    next.fetch(0);
#pragma unroll 1
    for (i32 first = 0; first < count; first += AT_ONCE) {
        Number coupling[AT_ONCE][4];
#pragma unroll
        for (i32 n = 0; n < 4 * AT_ONCE; n++) coupling[n / 4][n % 4] = next.coupling[n / 4][n % 4];
        next.fetch(first + AT_ONCE);
#pragma unroll
        for (i32 n = 0; n < AT_ONCE && first + n < count; n++)
#pragma unroll
            for (i32 r = 0; r < OWN; r += 4) {
                const Four four = *(const Four*)&x[first + n][lanes + r];
#pragma unroll
                for (i32 k = 0; k < 4; k++)
#pragma unroll
                    for (i32 w = 0; w < 4; w++)
                        sum[r + k][w] = add_product(four.value[k], coupling[n][w], sum[r + k][w]);
            }
    }
}

// Sums of the eight warps to four in room.part; every thread calls. See `total_at`.
__device__ __forceinline__ void add_warps(Room& room, const Sums& sum) {
    const i32 warp = threadIdx.x / 32, lanes = threadIdx.x % 32 / 16 * OWN;
    for (i32 turn = 1; turn >= 0; turn--) {
        __syncthreads();
        if (warp / 4 != turn) continue;
#pragma unroll
        for (i32 r = 0; r < OWN; r++)
#pragma unroll
            for (i32 w = 0; w < 4; w++) {
                Number& place = room.part[warp % 4][lanes + r][threadIdx.x % 16 + 16 * w];
                place = turn ? sum[r][w] : place + sum[r][w];
            }
    }
    __syncthreads();
}

__device__ __forceinline__ Number total_at(const Room& room, i32 place, i32 b) {
    return (room.part[0][place][b] + room.part[1][place][b]) +
           (room.part[2][place][b] + room.part[3][place][b]);
}

// Draw the units of a block from their margins: `ups` are its words. Every thread calls.
//
// Margins of eight units stand in registers: first the steps of the units before them are added, then
// they are drawn. Units that fill the last block have margins below zero and no couplings: they stay.
__device__ inline void draw_block(Room& room, u32* ups) {
    const i32 place = threadIdx.x;
    if (threadIdx.x < 32) {
        const bool mine = place < TILE;
        const float rise = mine ? room.rise[place] : 0.0f;
        for (i32 group = 0; group < BLOCK; group += GROUP) {
            float margin[GROUP];
#pragma unroll
            for (i32 b = 0; b < GROUP; b++) margin[b] = mine ? room.margins[group + b][place] : -1.0f;
#pragma unroll 4
            for (i32 e = 0; e < group; e++) {
                const float step = mine ? rise * room.steps[e][place] : 0.0f;
#pragma unroll
                for (i32 b = 0; b < GROUP; b++)
                    margin[b] = fmaf(step, room.within[e][group + b], margin[b]);
            }
#pragma unroll
            for (i32 b = 0; b < GROUP; b++) {
                const u32 old = ups[group + b];
                const bool up = margin[b] > 0.0f;
                const u32 word = __ballot_sync(~0u, up);
                const i32 moved = (i32)up - (i32)(old >> place & 1);
                const float step = rise * (float)((HIGH - LOW) * moved);
                if (mine) room.steps[group + b][place] = (HIGH - LOW) * moved;
#pragma unroll
                for (i32 later = b + 1; later < GROUP; later++)
                    margin[later] = fmaf(step, room.within[group + b][group + later], margin[later]);
                __syncwarp();  // all have read the old word
                if (place == 0) ups[group + b] = word;
            }
            __syncwarp();
        }
    }
    __syncthreads();
}
