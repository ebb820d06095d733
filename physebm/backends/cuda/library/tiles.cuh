// Tiles: up to TILE lanes of one instance, which go through a sweep together.
//
// A pass takes UNITS units, a panel of 64 for every four warps. Of a panel a thread has the four units of
// one block of words (those of position_of(b, 0 .. 3)) in ROWS lanes, so that it draws what it summed:
//
//     lanes     8 r + (thread of the warp) / 4                      r = 0 .. ROWS - 1
//     block     4 (warp) + (thread of the warp) % 4                 of the 16 of a panel
//
// which is also how a warp's sums lie when a tensor core multiplies 16 lanes by 8 units.

constexpr i32 TILE = 8 * ROWS, THREADS = 128 * PANELS, UNITS = 64 * PANELS;

// The lanes of a tile; places beyond its size repeat the first, which may be read but not written.
struct Tile {
    i64 lane[TILE];
    i32 size;
};

// Sums of the four units of a thread in its lanes: [4 r + w][thread].
typedef float Fields[4 * ROWS][THREADS];

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

// Put the sums of a pass where its draws find them: every thread its own.
__device__ __forceinline__ void set_fields(Fields& f, const float (&sum)[ROWS][4]) {
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
