// Clusters of active bonds; a root is the smallest unit of its cluster. Definition, addressing of words
// and sources: physebm/backends/reference_clusters.py. The lists are in global memory, one row per lane.

// The root of unit i, as far as the joins are done.
__device__ __forceinline__ i32 root_of(const volatile i32* parent, i32 i) {
    while (parent[i] != i) i = parent[i];
    return i;
}

// Unite two clusters under the smaller root, whatever other threads join meanwhile: a parent is only
// ever lowered, and a lost race goes on with the value that won it.
__device__ inline void join(i32* parent, i32 i, i32 j) {
    while (true) {
        i = root_of(parent, i);
        j = root_of(parent, j);
        if (i == j) return;
        i32 small = i < j ? i : j, large = i < j ? j : i;
        i32 stood = atomicMin(&parent[large], small);
        if (stood == large) return;
        i = small;
        j = stood;
    }
}
