// Fields of a block of units from patterns xi[unit, mu] and overlaps M[mu, place] with them.
//
// Overlaps are running ones. All are integers, and sums of float are exact where the host has made sure of it.

// Add what all patterns give the units of the block at `start`; columns[mu, unit] are the patterns.
__device__ __forceinline__ void add_overlaps(Sums& sum, Room& room, const Number* M, const i8* columns,
                                             i64 patterns, i64 n, i64 start) {
    const i32 warp = threadIdx.x / 32;
    for (i64 mu = DEPTH * warp; mu < patterns; mu += DEPTH * WARPS) {
        const i32 count = patterns - mu < DEPTH ? patterns - mu : DEPTH;
        Number* stage = room.stage[warp][0];
        __syncwarp();
        EACH_OF_WARP(e, count * TILE) stage[e] = M[mu * TILE + e];
        __syncwarp();
        multiply_add(sum, room.stage[warp], columns + mu * n, n, start, count);
    }
}

// M += sums of a thread for patterns mu + .., or = where there are none yet.
__device__ __forceinline__ void put_overlaps(Number* M, const Sums& sum, i64 patterns, i64 mu, bool add) {
    const i32 lanes = threadIdx.x % 32 / 16 * OWN;
#pragma unroll
    for (i32 w = 0; w < 4; w++) {
        const i64 pattern = mu + threadIdx.x % 16 + 16 * w;
        if (pattern >= patterns) continue;
        Four* row = (Four*)(M + pattern * TILE + lanes);
#pragma unroll
        for (i32 r = 0; r < OWN; r += 4) {
            Four four = row[r / 4];
#pragma unroll
            for (i32 k = 0; k < 4; k++) four.value[k] = sum[r + k][w] + (add ? four.value[k] : 0);
            row[r / 4] = four;
        }
    }
}

// Bring the overlaps up to date with the steps of a block; a warp has 64 patterns at a time.
__device__ inline void add_steps(Number* M, const Room& room, const i8* xi, i64 patterns, i64 n,
                                 i64 start) {
    const i32 units = n - start < BLOCK ? n - start : BLOCK;
    for (i64 mu = BLOCK * (threadIdx.x / 32); mu < patterns; mu += BLOCK * WARPS) {
        Sums sum = {};
        multiply_add(sum, room.steps, xi + start * patterns, patterns, mu, units);
        put_overlaps(M, sum, patterns, mu, true);
    }
    __syncthreads();
}

// Overlaps from the states.
__device__ inline void overlaps_of(Number* M, Room& room, const u32* ups, const i8* xi, i64 patterns,
                                   i64 n) {
    const i32 warp = threadIdx.x / 32;
    for (i64 mu = BLOCK * warp; mu < patterns; mu += BLOCK * WARPS) {
        Sums sum = {};
        for (i64 j = 0; j < n; j += DEPTH) {
            stage_states(room.stage[warp], ups, j);
            const i32 count = n - j < DEPTH ? n - j : DEPTH;
            multiply_add(sum, room.stage[warp], xi + j * patterns, patterns, mu, count);
        }
        put_overlaps(M, sum, patterns, mu, false);
    }
    __syncthreads();
}

// Overlaps from and to rows [lane, mu].
__device__ inline void take_overlaps(Number* M, const i32* rows, i64 patterns, const Tile& tile) {
    for (i32 place = 0; place < TILE; place++)
        EACH(mu, patterns) M[(i64)mu * TILE + place] = rows[tile.lane[place] * patterns + mu];
    __syncthreads();
}

__device__ inline void keep_overlaps(i32* rows, const Number* M, i64 patterns, const Tile& tile) {
    for (i32 place = 0; place < tile.size; place++)
        EACH(mu, patterns) rows[tile.lane[place] * patterns + mu] = M[(i64)mu * TILE + place];
}

__device__ inline void take_within(Room& room, const float* within) {
    EACH(e, BLOCK * BLOCK) room.within[e / BLOCK][e % BLOCK] = within[e];
}
