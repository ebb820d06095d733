// Kernels for words of which each has `share` blocks of threads.
//
// Without __launch_bounds__: blocks of a card have up to 256 threads, with 255 registers each, more than
// which no thread can have; ptxas takes 36 to 127.

// For each word: planes of its thresholds, and sums that are zero.
extern "C" __global__ void begin(const Parameters p, i32 unused) {
    make_thresholds(p, blockIdx.x, (Four*)p.thresholds + blockIdx.x * ROW * p.rows);
    EACH(i, 64) p.sums[64 * blockIdx.x + i] = 0;
}

// Units of one colour class are drawn; `share` blocks have a word.
extern "C" __global__ void colour(const Parameters p, u32 t, i32 c, i32 share) {
    DYNAMIC_SHARED(Four, M);
    const Part part = part_of(share);
    const Chain chain = chain_of(p, part.word);
    const Four* thresholds = (const Four*)p.thresholds + part.word * ROW * p.rows;
    EACH(i, ROW * p.rows) M[i] = thresholds[i];
    __syncthreads();
    u32* x = p.planes + part.word * (p.units + 1);
    const i32 begin = chain.classes[2 * c], end = chain.classes[2 * c + 2];
    const i32 shift = chain.classes[2 * c + 1] - begin;
    draw_all(chain, M, x, begin + part.first, part.step, end, shift, t);
}

// The sums of a word's units, of which `share` blocks have a part each.
extern "C" __global__ void sum(const Parameters p, i32 share) {
    __shared__ u32 total[64];
    const Part part = part_of(share);
    const Chain chain = chain_of(p, part.word);
    EACH(i, 64) total[i] = 0;
    __syncthreads();
    const i32 size = (chain.units + share - 1) / share, begin = blockIdx.x % share * size;
    const i32 end = begin + size < chain.units ? begin + size : chain.units;
    add_sums(chain, p.planes + part.word * (p.units + 1), begin, end, total);
    __syncthreads();
    EACH(i, 64) if (total[i]) atomicAdd(&p.sums[64 * part.word + i], (u64)total[i]);
}

// Energies of a word's lanes from its sums.
extern "C" __global__ void energies(const Parameters p, i32 unused) {
    write_energies(p, blockIdx.x, p.sums + 64 * blockIdx.x);
}
