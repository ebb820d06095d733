// Fields F = x J for a tile, which reads every coupling once for all its lanes: multiply-adds of floats,
// couplings and sources panel by panel through shared memory. Sources are added one after the other in
// their order, whatever the tile: no bit of a lane depends on it.

constexpr i32 DEPTH = 16;  // sources in shared memory at a time

struct alignas(16) Four {
    float value[4];
};

// Two panels of couplings and sources: one is multiplied while the next one arrives.
struct Stage {
    Four J[2][PANELS][DEPTH][16];                // [.., source, block] the couplings of four units
    alignas(16) float x[2][DEPTH][TILE + 4];     // [.., source, ROWS (place % 8) + place / 8]
};

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
    set_fields(f, sum);
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
    set_fields(f, sum);
}
