// Fields F = x J for a tile: up to TILE lanes of one instance, which read every coupling once for all.
//
// A pass takes UNITS units, a panel of 64 for every four warps. Of a panel a thread has the four units of
// one block of words (those of position_of(b, 0 .. 3)) in ROWS lanes, so that it draws what it summed:
//
//     lanes     8 r + (thread of the warp) / 4                      r = 0 .. ROWS - 1
//     block     4 (warp) + (thread of the warp) % 4                 of the 16 of a panel
//
// which is also how a warp's accumulators lie when a tensor core multiplies 16 lanes by 8 units. Sources
// are added one after the other in their order, whatever the tile: no bit of a lane depends on it.

constexpr i32 TILE = 8 * ROWS, THREADS = 128 * PANELS, UNITS = 64 * PANELS;
constexpr i32 DEPTH = 16;  // sources in shared memory at a time

// The lanes of a tile; places beyond its size repeat the first, which may be read but not written.
struct Tile {
    i64 lane[TILE];
    i32 size;
};

// Sums of the four units of a thread in its lanes: [4 r + w][thread].
typedef float Fields[4 * ROWS][THREADS];

struct alignas(16) Four {
    float value[4];
};

// Two panels of couplings and sources: one is multiplied while the next one arrives.
struct Stage {
    Four J[2][PANELS][DEPTH][16];                // [.., source, block] the couplings of four units
    alignas(16) float x[2][DEPTH][TILE + 4];     // [.., source, ROWS (place % 8) + place / 8]
};

__device__ __forceinline__ i32 place_of(i32 r) { return 8 * r + threadIdx.x % 32 / 4; }

__device__ __forceinline__ i32 block_of(i32 start) {
    return start / 4 + 4 * (threadIdx.x / 32) + threadIdx.x % 4;
}

// Every thread calls, and waits for the others.
__device__ inline void take_tile(Tile& tile, const i64* lanes) {
    for (i32 place = threadIdx.x; place < TILE; place += THREADS) {
        const i64 lane = lanes[place];
        tile.lane[place] = lane < 0 ? lanes[0] : lane;
        const bool last = lane >= 0 && (place + 1 == TILE || lanes[place + 1] < 0);
        if (last) tile.size = place + 1;
    }
    __syncthreads();
}

// Couplings and sources on their way from global to shared memory: in registers, while others are used.
template <class State> struct Arriving {
    static constexpr i32 COUPLINGS = DEPTH / 2, SOURCES = (ROWS + PANELS - 1) / PANELS;
    float J[COUPLINGS];
    State x[SOURCES];

    __device__ __forceinline__ void fetch(const State* states, i64 sources, const float* couplings,
                                          i64 width, i32 start, i64 first, const Tile& tile) {
        const i64 unit = start + threadIdx.x / 128 * 64 + threadIdx.x % 64;
#pragma unroll
        for (i32 n = 0; n < COUPLINGS; n++) {
            const i64 j = first + threadIdx.x / 64 % 2 + 2 * n;
            J[n] = j < sources && unit < width ? couplings[j * width + unit] : 0.0f;
        }
#pragma unroll
        for (i32 n = 0; n < SOURCES; n++) {
            const i32 place = (threadIdx.x + THREADS * n) / DEPTH;
            const i64 j = first + threadIdx.x % DEPTH;
            x[n] = j < sources && place < TILE ? states[tile.lane[place] * sources + j] : (State)0;
        }
    }

    __device__ __forceinline__ void store(Stage& stage, i32 half) const {
        const i32 unit = threadIdx.x % 64;
#pragma unroll
        for (i32 n = 0; n < COUPLINGS; n++) {
            const i32 d = threadIdx.x / 64 % 2 + 2 * n;
            stage.J[half][threadIdx.x / 128][d][unit % 16].value[unit / 16] = J[n];
        }
#pragma unroll
        for (i32 n = 0; n < SOURCES; n++) {
            const i32 place = (threadIdx.x + THREADS * n) / DEPTH;
            if (place >= TILE) continue;
            stage.x[half][threadIdx.x % DEPTH][ROWS * (place % 8) + place / 8] = (float)x[n];
        }
    }
};

// sum[r][w] += x[lane r, source] J[source, unit w] of the sources of a panel.
__device__ __forceinline__ void multiply_add(float (&sum)[ROWS][4], const Stage& stage, i32 half) {
    const i32 row = threadIdx.x % 32 / 4, block = threadIdx.x / 32 % 4 * 4 + threadIdx.x % 4;
#pragma unroll
    for (i32 d = 0; d < DEPTH; d++) {
        const Four J = stage.J[half][threadIdx.x / 128][d][block];
        float x[ROWS];
        if (ROWS % 4 == 0) {
            const Four* fours = (const Four*)&stage.x[half][d][ROWS * row];
#pragma unroll
            for (i32 r = 0; r < ROWS; r++) x[r] = fours[r / 4].value[r % 4];
        } else {
#pragma unroll
            for (i32 r = 0; r < ROWS; r++) x[r] = stage.x[half][d][ROWS * row + r];
        }
#pragma unroll
        for (i32 r = 0; r < ROWS; r++)
#pragma unroll
            for (i32 w = 0; w < 4; w++) sum[r][w] = fmaf(x[r], J.value[w], sum[r][w]);
    }
}

// f = sum_j x_j J[j, unit] for the units of a pass that begins at `start`; every thread calls.
template <class State>
__device__ inline void tile_product(Fields& f, const State* x, i64 sources, const float* J, i64 width,
                                    i32 start, const Tile& tile, Stage& stage) {
    float sum[ROWS][4] = {};
    Arriving<State> next;
    next.fetch(x, sources, J, width, start, 0, tile);
    next.store(stage, 0);
    __syncthreads();
    for (i64 first = 0; first < sources; first += DEPTH) {
        const i32 half = first / DEPTH % 2;
        const bool more = first + DEPTH < sources;
        if (more) next.fetch(x, sources, J, width, start, first + DEPTH, tile);
        multiply_add(sum, stage, half);
        if (more) next.store(stage, 1 - half);
        __syncthreads();
    }
#pragma unroll
    for (i32 r = 0; r < ROWS; r++)
#pragma unroll
        for (i32 w = 0; w < 4; w++) f[4 * r + w][threadIdx.x] = sum[r][w];
}

// The same for sources of q named states: each adds one row of couplings, that of its state.
template <class State>
__device__ inline void tile_gather(Fields& f, const State* x, i64 sources, i32 q, const float* J,
                                   i64 width, i32 start, const Tile& tile) {
    float sum[ROWS][4] = {};
    i64 unit[4];
    for (i32 w = 0; w < 4; w++) {
        unit[w] = position_of(block_of(start), w);
        if (unit[w] >= width) unit[w] = width - 1;  // read, and not used
    }
    for (i64 j = 0; j < sources; j++) {
#pragma unroll
        for (i32 r = 0; r < ROWS; r++) {
            const float* row = J + (q * j + x[tile.lane[place_of(r)] * sources + j]) * width;
#pragma unroll
            for (i32 w = 0; w < 4; w++) sum[r][w] += row[unit[w]];
        }
    }
#pragma unroll
    for (i32 r = 0; r < ROWS; r++)
#pragma unroll
        for (i32 w = 0; w < 4; w++) f[4 * r + w][threadIdx.x] = sum[r][w];
}

// Write fields of a pass to rows [lane, unit], for who reads them later.
__device__ inline void keep_fields(const Fields& f, float* rows, i64 width, i32 start,
                                   const Tile& tile) {
    for (i32 r = 0; r < ROWS && place_of(r) < tile.size; r++) {
        float* row = rows + tile.lane[place_of(r)] * width;
        for (i32 w = 0; w < 4; w++) {
            const i32 unit = position_of(block_of(start), w);
            if (unit < width) row[unit] = f[4 * r + w][threadIdx.x];
        }
    }
}

// A range that the threads of a warp share out, and the sum over a warp: the same in every thread.
#define EACH_OF_WARP(i, n) for (i32 i = threadIdx.x % 32; i < (n); i += 32)

__device__ inline double warp_sum(double value) {
    for (i32 mask = 16; mask > 0; mask >>= 1) value += __shfl_xor_sync(~0u, value, mask);
    return value;
}
