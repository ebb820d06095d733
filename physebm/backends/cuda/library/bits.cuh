// Logic on planes: a plane is a word that has one bit for each of 32 lanes.

__device__ __forceinline__ u32 majority(u32 x, u32 y, u32 z) { return (x & y) | (z & (x | y)); }

// a where the mask is set, else b.
__device__ __forceinline__ u32 either(u32 mask, u32 a, u32 b) { return (mask & a) | (~mask & b); }

// Bit d of a word in all lanes.
__device__ __forceinline__ u32 spread(u32 word, i32 d) { return (u32)((i32)(word << (31 - d)) >> 31); }

// Binary digits, least significant first, of how many of N planes have the bit set: carry-save adders
// of three planes, whose carries are counted in turn.
template <i32 N> __device__ __forceinline__ void count_planes(const u32* plane, u32* digit) {
    u32 sum = plane[0], carry[N / 2 + 1];
#pragma unroll
    for (i32 k = 1; k < N; k += 2) {
        const u32 y = plane[k], z = k + 1 < N ? plane[k + 1] : 0;
        carry[k / 2] = majority(sum, y, z);
        sum ^= y ^ z;
    }
    digit[0] = sum;
    if constexpr (N > 1) count_planes<N / 2>(carry, digit + 1);
}

// How many binary digits a number has.
constexpr __device__ i32 digits_of(i32 number) { return number ? 1 + digits_of(number / 2) : 0; }

// row[k] where a count from 0 to N - 1, given by its digits, is k; DIGIT is the highest.
template <i32 N, i32 DIGIT> __device__ __forceinline__ u32 pick(const u32* row, const u32* digit) {
    if constexpr (N == 1) {
        return row[0];
    } else {
        constexpr i32 half = 1 << DIGIT;
        if constexpr (N <= half) {
            return pick<N, DIGIT - 1>(row, digit);
        } else {
            const u32 high = pick<N - half, DIGIT - 1>(row + half, digit);
            return either(digit[DIGIT], high, pick<half, DIGIT - 1>(row, digit));
        }
    }
}

// Sums lane by lane, of one thread: plane k holds digit k. Up to 1023.
constexpr i32 COUNTER = 10;

struct Counter {
    u32 plane[COUNTER];
};

__device__ __forceinline__ void clear(Counter& counter) {
#pragma unroll
    for (i32 k = 0; k < COUNTER; k++) counter.plane[k] = 0;
}

// Add a number of N digits.
template <i32 N> __device__ __forceinline__ void add(Counter& counter, const u32* digit) {
    u32 carry = 0;
#pragma unroll
    for (i32 k = 0; k < COUNTER; k++) {
        const u32 x = counter.plane[k], y = k < N ? digit[k] : 0;
        counter.plane[k] = x ^ y ^ carry;
        carry = majority(x, y, carry);
    }
}

// Add the counters of a block's threads, none above `most`, to total[lane]. Every thread calls. Warps
// add their counters as planes, before numbers are made of them. Integers: no order matters.
__device__ inline void add_to_total(const Counter& counter, u32 most, u32* total) {
    u32 sum[COUNTER + 5];
#pragma unroll
    for (i32 k = 0; k < COUNTER + 5; k++) sum[k] = k < COUNTER ? counter.plane[k] : 0;
    const i32 warp = blockDim.x < 32 ? blockDim.x : 32;
#pragma unroll 1
    for (i32 by = 1; by < warp; by *= 2) {
        u32 carry = 0;
#pragma unroll
        for (i32 k = 0; k < COUNTER + 5; k++) {
            if (32 * most >> k == 0) continue;  // no sum has this digit
            const u32 x = sum[k], y = __shfl_xor_sync(~0u, x, by);
            sum[k] = x ^ y ^ carry;
            carry = majority(x, y, carry);
        }
    }
    for (i32 lane = threadIdx.x % 32; lane < 32; lane += warp) {
        u32 number = 0;
#pragma unroll
        for (i32 k = 0; k < COUNTER + 5; k++) number |= (sum[k] >> lane & 1u) << k;
        atomicAdd(&total[lane], number);
    }
}
