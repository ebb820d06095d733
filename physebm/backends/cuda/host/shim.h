// Runs CUDA C kernels on the host: block after block, the threads of a block as fibers.
//
// A fiber runs until it reaches a barrier of the block or of its warp, or ends. A barrier of the block
// opens when every living thread of the block stands at it, one of a warp when every living thread of the
// warp does; where neither can happen the launch fails, which is how a barrier in a branch that some
// threads do not take is found. Between two barriers fibers run in an order that is shuffled by a seed, so
// that a missing barrier shows as a result that depends on the seed. What this cannot show: races that no
// order of whole phases makes visible, the memory model, and static shared memory or registers beyond those
// of a card.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __shared__ static thread_local
#define __launch_bounds__(...)
#define __ldg(address) (*(address))
#define DYNAMIC_SHARED(type, name) type* name = (type*)shim::dynamic_shared

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace shim {

enum class Waits { nothing, block, warp, ended };

struct Fiber {
    ucontext_t context;
    Waits waits;
    std::vector<char> stack;
};

inline thread_local dim3 thread_index, block_index, block_size, grid_size;
inline thread_local std::vector<Fiber> fibers;
inline thread_local ucontext_t scheduler;
inline thread_local unsigned running;
inline thread_local std::function<void()> body;
inline thread_local uint64_t exchanged[1024];
alignas(16) inline thread_local unsigned char dynamic_shared[227 * 1024];

inline void wait(Waits what) {
    fibers[running].waits = what;
    swapcontext(&fibers[running].context, &scheduler);
    thread_index = dim3(running);
}

inline void enter() {
    body();
    wait(Waits::ended);
}

// Let those pass whose barrier is complete; false where nobody can pass.
inline bool open_barriers(unsigned threads) {
    bool opened = false, whole_block = true;
    for (unsigned first = 0; first < threads; first += 32) {
        unsigned end = first + 32 < threads ? first + 32 : threads;
        bool whole_warp = true, waiting = false;
        for (unsigned i = first; i < end; i++) {
            Waits waits = fibers[i].waits;
            whole_warp = whole_warp && (waits == Waits::warp || waits == Waits::ended);
            whole_block = whole_block && (waits == Waits::block || waits == Waits::ended);
            waiting = waiting || waits == Waits::warp;
        }
        if (!whole_warp || !waiting) continue;
        for (unsigned i = first; i < end; i++)
            if (fibers[i].waits == Waits::warp) fibers[i].waits = Waits::nothing;
        opened = true;
    }
    if (!whole_block) return opened;
    for (unsigned i = 0; i < threads; i++)
        if (fibers[i].waits == Waits::block) fibers[i].waits = Waits::nothing;
    return true;
}

// 0, or 1 where threads of a block wait for each other for ever. Seed 0 keeps the order of the threads.
inline int launch(unsigned blocks, unsigned threads, uint32_t seed, std::function<void()> kernel) {
    const size_t stack = 1 << 17;
    body = kernel, grid_size = dim3(blocks), block_size = dim3(threads);
    memset(dynamic_shared, 0xFF, sizeof dynamic_shared);  // nothing may rely on zeros
    if (fibers.size() < threads) fibers = std::vector<Fiber>(threads);
    std::vector<unsigned> order(threads);
    for (unsigned i = 0; i < threads; i++) order[i] = i;
    for (unsigned block = 0; block < blocks; block++) {
        block_index = dim3(block);
        block_index.y = block_index.z = 0;
        for (unsigned i = 0; i < threads; i++) {
            Fiber& fiber = fibers[i];
            fiber.waits = Waits::nothing;
            fiber.stack.resize(stack);
            getcontext(&fiber.context);
            fiber.context.uc_stack.ss_sp = fiber.stack.data();
            fiber.context.uc_stack.ss_size = stack;
            fiber.context.uc_link = &scheduler;
            makecontext(&fiber.context, enter, 0);
        }
        while (true) {
            for (unsigned i = threads - 1; seed && i > 0; i--) {
                seed = seed * 1664525u + 1013904223u;
                std::swap(order[i], order[(seed >> 8) % (i + 1)]);
            }
            unsigned living = 0;
            for (unsigned i : order) {
                if (fibers[i].waits == Waits::nothing) {
                    running = i, thread_index = dim3(i);
                    thread_index.y = thread_index.z = 0;
                    swapcontext(&scheduler, &fibers[i].context);
                }
                living += fibers[i].waits != Waits::ended;
            }
            if (living == 0) break;
            if (!open_barriers(threads)) return 1;
        }
    }
    return 0;
}

// Every thread of the warp gives a value and takes the one of a thread of the warp.
template <class T> T exchange(T value, unsigned from) {
    static_assert(sizeof(T) <= 8, "at most eight bytes pass between threads");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    exchanged[running] = bits;
    wait(Waits::warp);
    bits = exchanged[(running & ~31u) | (from & 31u)];
    wait(Waits::warp);
    T taken;
    memcpy(&taken, &bits, sizeof taken);
    return taken;
}

// What mma.m16n8k16 of a tensor core does for bf16 factors and float sums, with its distribution of numbers
// over the threads of a warp: thread 4 g + c gives of lanes g (a[0], a[2]) and g + 8 (a[1], a[3]) sources
// 2 c, 2 c + 1 and 8 more, of column g the same sources, and has columns 2 c, 2 c + 1 of both lanes. Every
// thread of the warp calls.
inline thread_local uint32_t factors[1024][6];

inline float bf16(uint32_t pair, unsigned high) {
    uint32_t bits = high ? pair & 0xFFFF0000u : pair << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
inline void multiply_bf16(float& d0, float& d1, float& d2, float& d3, const uint32_t (&a)[4],
                          uint32_t b0, uint32_t b1) {
    const uint32_t given[6] = {a[0], a[1], a[2], a[3], b0, b1};
    memcpy(factors[running], given, sizeof given);
    wait(Waits::warp);
    const unsigned warp = running & ~31u, g = running % 32 / 4, c = running % 4;
    float* sums[4] = {&d0, &d1, &d2, &d3};
    for (unsigned e = 0; e < 4; e++)
        for (unsigned k = 0; k < 16; k++) {
            const uint32_t* left = factors[warp + 4 * g + k % 8 / 2];
            const uint32_t* right = factors[warp + 4 * (2 * c + e % 2) + k % 8 / 2];
            *sums[e] += bf16(left[e / 2 + 2 * (k / 8)], k % 2) * bf16(right[4 + k / 8], k % 2);
        }
    wait(Waits::warp);
}

}  // namespace shim

#define threadIdx shim::thread_index
#define blockIdx shim::block_index
#define blockDim shim::block_size
#define gridDim shim::grid_size

inline void __syncthreads() { shim::wait(shim::Waits::block); }
inline void __syncwarp(unsigned = ~0u) { shim::wait(shim::Waits::warp); }

template <class T> T __shfl_sync(unsigned, T value, int from) { return shim::exchange(value, from); }
template <class T> T __shfl_xor_sync(unsigned, T value, int mask) {
    return shim::exchange(value, shim::running ^ mask);
}
template <class T> T __shfl_down_sync(unsigned, T value, int by) {
    unsigned lane = shim::running & 31u;
    return shim::exchange(value, lane + by > 31 ? lane : lane + by);
}
inline unsigned __ballot_sync(unsigned, int vote) {
    unsigned votes = 0, warp = shim::running & ~31u;
    shim::exchanged[shim::running] = vote != 0;
    shim::wait(shim::Waits::warp);
    for (unsigned i = 0; i < 32 && warp + i < shim::block_size.x; i++)
        votes |= (unsigned)shim::exchanged[warp + i] << i;
    shim::wait(shim::Waits::warp);
    return votes;
}
inline int __any_sync(unsigned mask, int vote) { return __ballot_sync(mask, vote) != 0; }

inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline unsigned __float_as_uint(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof value);
    return bits;
}
inline float __uint_as_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
    by &= 31;
    return by ? high << by | low >> (32 - by) : high;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
// Bytes of two words, four bits of the selector each: 0 to 3 of the first, 4 to 7 of the second.
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    uint64_t bytes = (uint64_t)b << 32 | a;
    unsigned found = 0;
    for (int k = 0; k < 4; k++) found |= (bytes >> 8 * (selector >> 4 * k & 7) & 255) << 8 * k;
    return found;
}
inline int __dp4a(int a, int b, int sum) {
    for (int k = 0; k < 4; k++) sum += (int8_t)(a >> 8 * k) * (int8_t)(b >> 8 * k);
    return sum;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return (uint64_t)a * b >> 32; }

template <class T> T atomicAdd(T* place, T value) {
    T stood = *place;
    *place += value;
    return stood;
}
template <class T> T atomicMin(T* place, T value) {
    T stood = *place;
    if (value < stood) *place = value;
    return stood;
}
template <class T> T atomicMax(T* place, T value) {
    T stood = *place;
    if (value > stood) *place = value;
    return stood;
}
