// Potts units that all interact, drawn one after the other, all lanes of a tile at one unit.
//
// So its rows of couplings, Q numbers for each state of each other unit, come from the second cache once
// for the tile and from the first one for every lane.
//
// A thread has four states of a lane: place = thread / QUADS, states 4 (thread % QUADS) + 0 .. 3.

constexpr i32 CHUNK = 64;
static_assert(2 * UNITS >= TILE * QUADS, "two threads for a unit of a pass, one for four states");

struct alignas(16) Four {
    float value[4];
};

// What the threads of a block share. u8 states[unit][TILE] stand behind it.
struct alignas(16) Room {
    u32 words[CHUNK][TILE];
    double total[TILE][QUADS];  // weights of four states
    float top[TILE][QUADS];     // largest exponent of four states
    Tile tile;
};

__device__ inline void take_states(u8* states, const i8* x, i64 n, const Tile& tile) {
    for (i32 place = 0; place < TILE; place++)
        EACH(i, n) states[i * TILE + place] = x[tile.lane[place] * n + i];
    __syncthreads();
}

__device__ inline void put_states(i8* x, const u8* states, i64 n, const Tile& tile) {
    for (i32 place = 0; place < tile.size; place++)
        EACH(i, n) x[tile.lane[place] * n + i] = states[i * TILE + place];
    __syncthreads();
}

// Words of the 64 draws that begin at unit i.
__device__ inline void take_words(Room& room, i64 i, u32 sweep, u32 last, const u32* walker,
                                  const u32* key) {
    EACH(e, 16 * TILE) {
        const i32 place = e / 16;
        const i64 lane = room.tile.lane[place];
        const Stream stream = {walker[lane], key[2 * lane], key[2 * lane + 1]};
        const Words words = words_of((i32)(i / 4) + e % 16, sweep, last, stream);
        for (i32 w = 0; w < 4; w++) room.words[e % 16 + 16 * w][place] = words.word[w];
    }
    __syncthreads();
}

// Add the rows of all other units, in their order: f[k] = sum over j of J[j, s_j, 4 quad + k]. A unit has
// rows of zeros on itself.
__device__ __forceinline__ Four gather(const float* rows, const u8* states, i64 n, i32 place, i32 quad) {
    const Four* row = (const Four*)rows + quad;
    Four f = {};
    states += place;
#pragma unroll 8
    for (i32 j = 0; j < (i32)n; j++) {
        const Four J = row[states[j * TILE] * QUADS];
#pragma unroll
        for (i32 k = 0; k < 4; k++) f.value[k] += J.value[k];
        row += Q * QUADS;
    }
    return f;
}

// Draw a unit in all lanes: state a with probability exp(theta_a) / sum_b exp(theta_b), from four theta
// of a thread. Partial sums are double, so that a rare state keeps its probability wherever it stands.
// Every thread calls; a new state is there when it returns.
__device__ inline void draw_unit(Room& room, const Four& theta, u32 word, i32 place, i32 quad,
                                 u8* states) {
    const bool mine = place < TILE;
    double weight[4];
    float top = theta.value[0];
#pragma unroll
    for (i32 k = 1; k < 4; k++)
        if (4 * quad + k < Q) top = fmaxf(top, theta.value[k]);
    if (mine) room.top[place][quad] = top;
    __syncthreads();
    if (mine) {
        for (i32 other = 0; 4 * other < Q; other++) top = fmaxf(top, room.top[place][other]);
#pragma unroll
        for (i32 k = 0; k < 4; k++) weight[k] = 4 * quad + k < Q ? expf(theta.value[k] - top) : 0.0f;
        room.total[place][quad] = weight[0] + weight[1] + weight[2] + weight[3];
    }
    __syncthreads();
    if (mine && 4 * quad < Q) {
        double before = 0.0, end = 0.0, all = 0.0;
        for (i32 other = 0; 4 * other < Q; other++) {
            if (other == quad) before = all;
            all += room.total[place][other];
            if (other == quad) end = all;
        }
        // of the quads, whose bounds all threads of a lane have alike, exactly one holds the target
        const double target = uniform(word) * all;
        const bool first = quad == 0, last = 4 * quad + 4 >= Q;
        if ((first || before <= target) && (last || target < end)) {
            i32 drawn = 4 * quad;
#pragma unroll
            for (i32 k = 0; k < 3; k++) {
                before += weight[k];
                if (4 * quad + k < Q - 1) drawn += before <= target;
            }
            states[place] = drawn;
        }
    }
    __syncthreads();
}
