// Fields of a block of units from couplings J[unit, unit] and the states of all units.
//
// They are made anew for every block, so that nothing is kept from one to the next and no rounding adds
// up.

__device__ inline void take_within(Room& room, const float* J, i64 n, i64 start) {
    EACH(e, BLOCK * BLOCK) {
        const i64 i = start + e / BLOCK, j = start + e % BLOCK;
        room.within[e / BLOCK][e % BLOCK] = i < n && j < n ? J[i * n + j] : 0.0f;
    }
}

// Add what sources first .. end - 1 give the units of the block at `start`; first is that of a chunk.
__device__ __forceinline__ void add_sources(Sums& sum, Room& room, const u32* ups, const float* J, i64 n,
                                            i64 start, i64 first, i64 end) {
    const i32 warp = threadIdx.x / 32;
    const i64 chunk = (first / DEPTH + WARPS - 1 - warp) / WARPS * WARPS + warp;
    for (i64 j = DEPTH * chunk; j < end; j += DEPTH * WARPS) {
        stage_states(room.stage[warp], ups, j);
        multiply_add(sum, room.stage[warp], J + j * n, n, start, end - j < DEPTH ? end - j : DEPTH);
    }
}

__device__ inline void keep_earlier(Room& room) {
    EACH(e, TILE * BLOCK) room.earlier[e / BLOCK][e % BLOCK] = total_at(room, e / BLOCK, e % BLOCK);
    __syncthreads();
}

// Add the pairs that end in a block: room.pairs += x_i (sum of J_ij x_j over j < i) of its units.
__device__ inline void add_pairs(Room& room, const u32* ups, i64 units) {
    for (i32 place = threadIdx.x / 32; place < TILE; place += WARPS) {
        double part = 0.0;
        EACH_OF_WARP(b, (i32)(units < BLOCK ? units : BLOCK)) {
            double field = room.earlier[place][b];
            for (i32 e = 0; e < b; e++) field += (double)room.within[e][b] * state_at(ups[e], place);
            part += state_at(ups[b], place) * field;
        }
        const double total = warp_sum(part);
        if (threadIdx.x % 32 == 0) room.pairs[place] += total;
    }
    __syncthreads();
}

// The fields J x of all units, for who reads them later.
__device__ inline void put_fields(float* fields, Room& room, const u32* ups, const float* J, i64 n) {
    for (i64 start = 0; start < n; start += BLOCK) {
        Sums sum = {};
        add_sources(sum, room, ups, J, n, start, 0, n);
        add_warps(room, sum);
        EACH(e, room.tile.size * BLOCK) {
            const i64 i = start + e % BLOCK;
            if (i < n) fields[room.tile.lane[e / BLOCK] * n + i] = total_at(room, e / BLOCK, e % BLOCK);
        }
        __syncthreads();
    }
}
