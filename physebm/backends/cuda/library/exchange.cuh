// One even-odd round of exchanges between neighbouring rungs: labels move, configurations stay. Block b
// is ladder b. Definition, statistics and source: physebm/sampling/tempering.py.
struct Parameters {
    const i64* start;     // [ladder + 1], first slot of a ladder
    const i64* row;       // [slot], row of coefficients
    const u32* key;       // [ladder, 2]
    const u32* chain;     // [ladder]
    const double* coef;   // [rung, terms]
    const double* E;      // [walker, terms]
    i64* rung;            // [walker]
    i64* lane_of;         // [slot], the walker that stands there
    double* attempts;     // [lower slot of a pair], so the next two
    double* accepted;
    i64* exchanged;
    i8* direction;        // [walker], the end at which it was last
    i64* trips;           // [walker]
    double* flow;         // [slot]
    double* visits;       // [slot]
    i64 terms;
};

enum End : i8 { NOWHERE = 0, FROM_COLD = 1, FROM_HOT = 2, STARTED_HOT = 3 };

extern "C" __global__ void exchange(const Parameters p, u32 round, u32 last) {
    const i64 ladder = blockIdx.x, first_slot = p.start[ladder];
    const i32 rungs = (i32)(p.start[ladder + 1] - first_slot);
    const u32 k0 = p.key[2 * ladder], k1 = p.key[2 * ladder + 1];
    EACH(pair, rungs / 2) {
        const i32 position = 2 * pair + (round & 1);
        if (position + 1 >= rungs) continue;
        const i64 slot = first_slot + position, a = p.lane_of[slot], b = p.lane_of[slot + 1];
        const double* c_a = p.coef + p.row[slot] * p.terms;
        const double* c_b = p.coef + p.row[slot + 1] * p.terms;
        double work = 0.0;
        for (i64 t = 0; t < p.terms; t++) {
            const double energy = __dsub_rn(p.E[a * p.terms + t], p.E[b * p.terms + t]);
            work = __dadd_rn(work, __dmul_rn(__dsub_rn(c_a[t], c_b[t]), energy));
        }
        const double accept = exp_of_negative(fmin(work, 0.0));
        const u32 word = philox4x32(position, p.chain[ladder], round, last, k0, k1).word[0];
        p.attempts[slot] += 1.0;
        p.accepted[slot] += accept;
        if (uniform(word) < accept) {
            p.exchanged[slot] += 1;
            p.lane_of[slot] = b;
            p.lane_of[slot + 1] = a;
        }
    }
    __syncthreads();
    EACH(position, rungs) {
        const i64 slot = first_slot + position;
        p.rung[p.lane_of[slot]] = p.row[slot];
    }
    if (threadIdx.x == 0 && rungs > 1) {
        const i64 cold = p.lane_of[first_slot], hot = p.lane_of[first_slot + rungs - 1];
        p.trips[cold] += p.direction[cold] == FROM_HOT;
        p.direction[cold] = FROM_COLD;
        const i8 was = p.direction[hot];
        p.direction[hot] = was == FROM_COLD || was == FROM_HOT ? FROM_HOT : STARTED_HOT;
    }
    __syncthreads();
    EACH(position, rungs) {
        const i64 slot = first_slot + position;
        const i8 was = p.direction[p.lane_of[slot]];
        p.flow[slot] += was == FROM_COLD;
        p.visits[slot] += was > 0;
    }
}
