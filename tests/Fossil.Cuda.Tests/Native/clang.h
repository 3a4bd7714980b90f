// The names of CUDA C that clang itself does not have, for sources that are compiled without CUDA's headers.
#pragma once
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __host__ __attribute__((host))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))

typedef unsigned int uint2 __attribute__((ext_vector_type(2)));
typedef unsigned int uint4 __attribute__((ext_vector_type(4)));

#define FOSSIL_INDEX(name, register) \
    struct name##_type \
    { \
        __declspec(property(get = get_x)) unsigned int x; \
        __declspec(property(get = get_y)) unsigned int y; \
        __device__ static unsigned int get_x() { return __nvvm_read_ptx_sreg_##register##_x(); } \
        __device__ static unsigned int get_y() { return __nvvm_read_ptx_sreg_##register##_y(); } \
    }; \
    extern const __attribute__((device, weak)) name##_type name;
FOSSIL_INDEX(threadIdx, tid)
FOSSIL_INDEX(blockIdx, ctaid)
FOSSIL_INDEX(blockDim, ntid)
FOSSIL_INDEX(gridDim, nctaid)

__device__ inline unsigned int __float_as_uint(float value) { return __builtin_bit_cast(unsigned int, value); }
__device__ inline float __uint_as_float(unsigned int word) { return __builtin_bit_cast(float, word); }
__device__ inline void __threadfence() { __nvvm_membar_gl(); }
__device__ inline unsigned int atomicAdd(unsigned int *address, unsigned int value) { return __nvvm_atom_add_gen_i((int *)address, value); }
__device__ inline unsigned int __shfl_sync(unsigned int mask, unsigned int value, int lane) { return __nvvm_shfl_sync_idx_i32(mask, value, lane, 31); }
__device__ inline float __shfl_xor_sync(unsigned int mask, float value, int distance) { return __nvvm_shfl_sync_bfly_f32(mask, value, distance, 31); }
__device__ inline float __fmul_rn(float left, float right) { return __nvvm_mul_rn_f(left, right); }
__device__ inline float __fadd_rn(float left, float right) { return __nvvm_add_rn_f(left, right); }
__device__ inline float __fsqrt_rn(float value) { return __nvvm_sqrt_rn_f(value); }
__device__ inline float fmaxf(float left, float right) { return __nvvm_fmax_f(left, right); }
__device__ inline float expf(float value) { return __nvvm_ex2_approx_f(value * 1.44269504f); }
__device__ inline float logf(float value) { return __nvvm_lg2_approx_f(value) * 0.69314718f; }
__device__ inline int __all_sync(unsigned int mask, int predicate) { return __nvvm_vote_all_sync(mask, predicate); }
