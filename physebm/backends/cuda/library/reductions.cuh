// Sums over the threads of a block, in a tree that depends on the size of the block alone.
// Every thread calls; every thread gets the sum. The number of threads is a power of two.

__device__ inline double block_sum(double value, double* room) {
    __syncthreads();
    room[threadIdx.x] = value;
    __syncthreads();
    for (i32 half = blockDim.x >> 1; half > 0; half >>= 1) {
        if (threadIdx.x < half) room[threadIdx.x] += room[threadIdx.x + half];
        __syncthreads();
    }
    return room[0];
}
