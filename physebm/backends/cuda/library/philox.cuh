// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC'11): four words are a pure function of counter and key.
// Which word belongs to which draw is fixed by the plan (physebm/lowering/plan.py), never by a thread.

struct Words {
    u32 word[4];
};

__device__ __forceinline__ Words philox4x32(u32 c0, u32 c1, u32 c2, u32 c3, u32 k0, u32 k1) {
#pragma unroll
    for (i32 round = 0; round < 10; round++) {
        u64 p0 = (u64)0xD2511F53u * c0, p1 = (u64)0xCD9E8D57u * c2;
        u32 high0 = (u32)(p0 >> 32), high1 = (u32)(p1 >> 32);
        c0 = high1 ^ c1 ^ k0;
        c1 = (u32)p1;
        c2 = high0 ^ c3 ^ k1;
        c3 = (u32)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    Words words = {{c0, c1, c2, c3}};
    return words;
}

// The stream of a lane: its walker's number and its key.
struct Stream {
    u32 walker, k0, k1;
};

// Block b of the words of a move: those of draw positions position_of(b, 0 .. 3).
__device__ __forceinline__ Words words_of(u32 b, u32 sweep, u32 last, Stream s) {
    return philox4x32(b, s.walker, sweep, last, s.k0, s.k1);
}

__device__ __forceinline__ i32 position_of(i32 b, i32 w) {
    return 64 * (b >> 4) + (b & 15) + 16 * w;
}

// The word of one draw position.
__device__ __forceinline__ u32 word_at(i32 p, u32 sweep, u32 last, Stream s) {
    Words words = words_of(16 * (p >> 6) + (p & 15), sweep, last, s);
    return words.word[(p >> 4) & 3];
}

// The word of a draw by bit planes: digit d is bit `walker & 31` of word d & 3 at draw index d >> 2,
// of a block that 32 walkers share.
__device__ __forceinline__ u32 plane_word_at(i32 p, u32 sweep, u32 last, Stream s) {
    u32 word = 0;
    for (u32 draw = 0; draw < 8; draw++) {
        Words four = philox4x32(p, s.walker >> 5, sweep, last | draw, s.k0, s.k1);
        for (i32 w = 0; w < 4; w++) word = word << 1 | ((four.word[w] >> (s.walker & 31)) & 1u);
    }
    return word;
}

// A double in (0, 1): (word + 1/2) 2^-32; and one with 52 random bits from two words.
__device__ __forceinline__ double uniform(u32 word) {
    return ((double)word + 0.5) * 2.3283064365386962890625e-10;
}

__device__ __forceinline__ double uniform53(u32 high, u32 low) {
    u64 bits = (u64)high << 20 | (u64)low >> 12;
    return ((double)bits + 0.5) * 2.220446049250313080847263336181640625e-16;
}

// A uniform integer in 0 .. count-1.
__device__ __forceinline__ i32 below(u32 word, u32 count) {
    return (i32)((u64)word * count >> 32);
}
