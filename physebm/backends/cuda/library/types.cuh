// Names of fixed-width types, and how a block of threads shares out a range.
typedef signed char i8;
typedef short i16;
typedef int i32;
typedef long long i64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// Shared memory whose size the launch says; a host has its own.
#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(type, name) extern __shared__ type name[]
#endif

// for (i over 0 .. n-1), shared out over the threads of a block
#define EACH(i, n) for (i32 i = threadIdx.x; i < (n); i += blockDim.x)
