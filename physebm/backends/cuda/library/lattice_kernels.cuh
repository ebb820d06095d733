// Kernels for lattices in runs, and how blocks of threads share a lane.

// Bytes of a row of states: positions, and a run of units that are not there.
__device__ __forceinline__ i64 places_of(const Parameters& p) { return p.positions0 + 16; }

// Runs begin .. end-1, whole chunks of one colour class, are drawn by the threads of a block.
__device__ __forceinline__ void draw_runs(
    const Parameters& p, const Lane& lane, u8* y, const i64* table, i32 begin, i32 end, u32 sweep) {
    for (i32 base = begin; base < end; base += blockDim.x) {
        const i32 r = base + (i32)threadIdx.x;
        const bool there = r < end;  // threads without a run take part in the exchange of words
        const Sixteen drawn = new_states(p, lane, y, table, there ? r : begin + (threadIdx.x & 3), sweep);
        if (there) ((Sixteen*)y)[r] = drawn;
    }
}

// Thresholds of the lane's rung, and its keys, to shared memory.
__device__ __forceinline__ void take_table(const Parameters& p, i64 number, const Lane& lane, i64* table) {
    make_keys(lane.stream);
    const i64* row = p.table0 + p.rung[number] * p.entries0;
    EACH(i, thresholds_of(p)) {
        const i64 entry = entry_of(p, i);
        table[i] = entry >= 0 && entry < p.entries0 ? row[entry] : 0;
    }
    __syncthreads();
}

// Twice minus the bare term energies of runs begin .. end-1, to `out` by thread 0.
__device__ inline void sum_runs(
    const Parameters& p, const Lane& lane, const u8* y, i32 begin, i32 end, double* out) {
    __shared__ double room[1024];
    i64 total[TERMS] = {0};
    for (i32 r = begin + threadIdx.x; r < end; r += blockDim.x) add_energies(lane, y, r, total);
    for (i32 t = 0; t < TERMS; t++) {
        const double sum = block_sum((double)total[t], room);
        if (threadIdx.x == 0) out[t] = sum;
    }
}

// Block b of the grid has a part of lane b / share: places first .. end-1 of `count`, in whole units.
struct Part {
    i64 lane;
    i32 first, end;
};

__device__ __forceinline__ Part part_of(i32 share, i32 begin, i32 end) {
    const i32 size = (end - begin + share - 1) / share, first = begin + (i32)blockIdx.x % share * size;
    return {blockIdx.x / share, first, first + size < end ? first + size : end};
}

// One colour class of one sweep; `share` blocks have a lane.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) colour(const Parameters p, u32 t, i32 c, i32 share) {
    DYNAMIC_SHARED(i64, table);
    const i64 number = blockIdx.x / share;
    const Lane lane = lane_of(p, number);
    const Part part = part_of(share, lane.chunk0[c], lane.chunk0[c + 1]);
    take_table(p, number, lane, table);
    draw_runs(p, lane, p.states + number * places_of(p), table, 4 * part.first, 4 * part.end, t);
}

// Sums of a lane's energies, of which `share` blocks have a part each.
extern "C" __global__ void sum(const Parameters p, i32 share) {
    const Part part = part_of(share, 0, p.positions0 / 16);
    const u8* y = p.states + part.lane * places_of(p);
    sum_runs(p, lane_of(p, part.lane), y, part.first, part.end, p.partial + (i64)blockIdx.x * TERMS);
}

// Energies of a lane from the sums of its parts.
extern "C" __global__ void energies(const Parameters p, i32 share) {
    __shared__ double room[1024];
    for (i32 t = 0; t < TERMS; t++) {
        double total = 0.0;
        EACH(part, share) total += p.partial[((i64)blockIdx.x * share + part) * TERMS + t];
        total = block_sum(total, room);
        if (threadIdx.x == 0) p.E[(i64)blockIdx.x * TERMS + t] = -0.5 * total;
    }
}

// Block b of the grid takes lane b through sweeps first .. first + count - 1. Its states are in shared
// memory.
extern "C" __global__ void __launch_bounds__(MOST_THREADS) sweep(const Parameters p, u32 first, u32 count) {
    DYNAMIC_SHARED(Sixteen, room);
    const i64 number = blockIdx.x;
    const Lane lane = lane_of(p, number);
    Sixteen* kept = (Sixteen*)(p.states + number * places_of(p));
    Sixteen* states = room;
    i64* table = (i64*)(room + places_of(p) / 16);
    EACH(i, places_of(p) / 16) states[i] = kept[i];
    take_table(p, number, lane, table);
    u8* y = (u8*)states;
    for (u32 t = first; t != first + count; t++) {
        for (i32 c = 0; c < p.classes0; c++) {
            draw_runs(p, lane, y, table, 4 * lane.chunk0[c], 4 * lane.chunk0[c + 1], t);
            __syncthreads();
        }
    }
    if (count) EACH(i, p.positions0 / 16) kept[i] = states[i];
    sum_runs(p, lane, y, 0, p.positions0 / 16, p.partial + number * TERMS);
    __syncthreads();
    EACH(t, TERMS) p.E[number * TERMS + t] = -0.5 * p.partial[number * TERMS + t];
}

// Configurations x[lane, unit] into visiting order; `share` blocks have a lane.
extern "C" __global__ void pack(const Parameters p, i32 share) {
    const Part part = part_of(share, 0, places_of(p));
    const Lane lane = lane_of(p, part.lane);
    for (i32 place = part.first + threadIdx.x; place < part.end; place += blockDim.x) {
        const i32 i = place < p.positions0 ? lane.order0[place] : -1;
        p.states[part.lane * places_of(p) + place] = i < 0 ? NONE : p.x0[part.lane * p.size0 + i] + NONE;
    }
}

// States in visiting order into configurations x[lane, unit].
extern "C" __global__ void unpack(const Parameters p, i32 share) {
    const Part part = part_of(share, 0, p.positions0);
    const Lane lane = lane_of(p, part.lane);
    for (i32 place = part.first + threadIdx.x; place < part.end; place += blockDim.x) {
        const i32 i = lane.order0[place];
        if (i >= 0) p.x0[part.lane * p.size0 + i] = (i8)(p.states[part.lane * places_of(p) + place] - NONE);
    }
}
