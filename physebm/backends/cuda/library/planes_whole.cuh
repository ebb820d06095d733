// Kernel for words of which each has a block of threads.
//
// Without __launch_bounds__: blocks have up to 512 threads, with 128 registers each, of which ptxas of CUDA
// 13.0 takes 60 to 102 from sm_75 to sm_120. Told so, it makes other code (96 become 128 for Metropolis on
// a cubic lattice), which no card has measured.

// Block b of the grid takes word b through sweeps first .. first + count - 1. Its lattice and thresholds
// are in shared memory.
extern "C" __global__ void sweep(const Parameters p, u32 first, u32 count) {
    DYNAMIC_SHARED(Four, M);
    __shared__ u32 total[64];
    u32* x = (u32*)(M + ROW * p.rows);
    const i64 word = blockIdx.x;
    const Chain chain = chain_of(p, word);
    u32* planes = p.planes + word * (p.units + 1);
    EACH(i, p.units + 1) x[i] = planes[i];
    EACH(i, 64) total[i] = 0;
    make_thresholds(p, word, M);
    for (u32 t = first; t != first + count; t++) {
        for (i32 c = 0; c < p.classes; c++) {
            const i32 begin = chain.classes[2 * c], end = chain.classes[2 * c + 2];
            const i32 shift = chain.classes[2 * c + 1] - begin;
            draw_all(chain, M, x, begin + threadIdx.x, blockDim.x, end, shift, t);
            __syncthreads();
        }
    }
    if (count) EACH(i, p.units) planes[i] = x[i];
    add_sums(chain, x, 0, chain.units, total);
    __syncthreads();
    write_energies(p, word, total);
}
