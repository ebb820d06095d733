// Counts of configurations where they stand, exact integers; a block of threads per row. A row is a lane,
// or a pair of lanes. STATE is the type of a state.
struct Parameters {
    const STATE* x;      // [lane, units]
    const i64* a;        // [row], lanes
    const i64* b;        // [row], the other lanes of pairs; or no array
    const i8* xi;        // [instance, patterns, units]
    const i64* instance; // [row]
    const i64* shape;    // [axis], of the lattice
    i64* out;
    i64 units, states, low, patterns, axes;
};

__device__ inline i64 block_count(i64 value, i64* room) {
    __syncthreads();
    room[threadIdx.x] = value;
    __syncthreads();
    for (i32 half = blockDim.x >> 1; half > 0; half >>= 1) {
        if (threadIdx.x < half) room[threadIdx.x] += room[threadIdx.x + half];
        __syncthreads();
    }
    return room[0];
}

// out[row, s]: units in state number s: of two states the lower is 0.
extern "C" __global__ void count_states(const Parameters p, u32 unused) {
    __shared__ i64 room[1024];
    const STATE* x = p.x + p.a[blockIdx.x] * p.units;
    for (i64 s = 0; s < p.states; s++) {
        const i32 wanted = p.states == 2 && s == 1 ? 1 : (i32)(p.low + s);
        i64 found = 0;
        EACH(i, p.units) found += x[i] == wanted;
        found = block_count(found, room);
        if (threadIdx.x == 0) p.out[blockIdx.x * p.states + s] = found;
    }
}

// out[row]: units in the same state in both lanes.
extern "C" __global__ void count_agreements(const Parameters p, u32 unused) {
    __shared__ i64 room[1024];
    const STATE* x = p.x + p.a[blockIdx.x] * p.units;
    const STATE* y = p.x + p.b[blockIdx.x] * p.units;
    i64 found = 0;
    EACH(i, p.units) found += x[i] == y[i];
    found = block_count(found, room);
    if (threadIdx.x == 0) p.out[blockIdx.x] = found;
}

// out[row, pattern] = sum_i xi_i x_i.
extern "C" __global__ void sum_patterns(const Parameters p, u32 unused) {
    __shared__ i64 room[1024];
    const STATE* x = p.x + p.a[blockIdx.x] * p.units;
    const i8* xi = p.xi + p.instance[blockIdx.x] * p.patterns * p.units;
    for (i64 mu = 0; mu < p.patterns; mu++) {
        i64 sum = 0;
        EACH(i, p.units) sum += xi[mu * p.units + i] * x[i];
        sum = block_count(sum, room);
        if (threadIdx.x == 0) p.out[blockIdx.x * p.patterns + mu] = sum;
    }
}

// out[row, places along the axes one after the other]: sums over all other axes, of x or of agreements.
extern "C" __global__ void sum_profiles(const Parameters p, u32 unused) {
    __shared__ i32 sums[1024];
    const STATE* x = p.x + p.a[blockIdx.x] * p.units;
    const STATE* y = p.b ? p.x + p.b[blockIdx.x] * p.units : 0;
    i64 length = 0;
    for (i64 d = 0; d < p.axes; d++) length += p.shape[d];
    for (i64 start = 0; start < length; start += 1024) {
        const i32 places = length - start < 1024 ? length - start : 1024;
        EACH(k, places) sums[k] = 0;
        __syncthreads();
        EACH(i, p.units) {
            const i32 value = y ? x[i] == y[i] : x[i];
            i64 inner = p.units, axis = -start;  // units between neighbours; first place of the axis
            for (i64 d = 0; d < p.axes && value; d++) {
                inner /= p.shape[d];
                const i64 place = axis + i / inner % p.shape[d];
                if (place >= 0 && place < places) atomicAdd(&sums[place], value);
                axis += p.shape[d];
            }
        }
        __syncthreads();
        EACH(k, places) p.out[blockIdx.x * length + start + k] = sums[k];
        __syncthreads();
    }
}
