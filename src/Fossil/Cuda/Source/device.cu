// What the kernels need of the device. No header is included, so that NVRTC without an include path, other compilers and an emulator read the same text. An emulator defines
// FOSSIL_EMULATED and, before this text, the names that are defined here under the condition.
#ifndef FOSSIL_EMULATED

// Memory of the device, and memory of either kind; an emulator may check each access.
#define GLOBAL(type) type *__restrict__
#define POINTER(type) type *
#define SHARED(type, name, count) alignas(16) __shared__ type name[count]

// Several elements at once; the address is a multiple of their size.
#define WORDS_AT(words, pointer) (*(words *)(pointer))
#define CONST_WORDS_AT(words, pointer) (*(const words *)(pointer))

// Whether an address is a multiple of a power of two.
#define IS_ALIGNED(pointer, bytes) (((unsigned long long)(pointer) & ((bytes) - 1)) == 0)

// The address that an atomic operation takes.
#define ATOMIC(pointer) (pointer)

// What another block wrote in this launch: not from the cache of this multiprocessor.
#define LOAD_OF_OTHER_BLOCK(type, pointer) (*(const volatile type *)(pointer))

// c += a b by a warp's tensor cores: a (16, 16) row by row, b (16, 8) column by column, c (16, 8), each thread with the parts that PTX's mma.m16n8k16 gives it. Compute capability 7.5 has half as
// deep a step for float16, and none for bfloat16.
#define MMA(shape, type, c, a, b) \
    asm volatile("mma.sync.aligned." shape ".row.col.f32." type "." type ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
        : "+f"((c)[0]), "+f"((c)[1]), "+f"((c)[2]), "+f"((c)[3]) : "r"((a)[0]), "r"((a)[1]), "r"((a)[2]), "r"((a)[3]), "r"((b)[0]), "r"((b)[1]))
#define HALF_MMA_FLOAT16(c, a0, a1, b0) \
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};" \
        : "+f"((c)[0]), "+f"((c)[1]), "+f"((c)[2]), "+f"((c)[3]) : "r"(a0), "r"(a1), "r"(b0))
#if __CUDA_ARCH__ >= 800
#define HAS_BFLOAT16_MMA 1
#define MMA_BFLOAT16(c, a, b) MMA("m16n8k16", "bf16", c, a, b)
#define MMA_FLOAT16(c, a, b) MMA("m16n8k16", "f16", c, a, b)
#else
#define HAS_BFLOAT16_MMA 0
#define MMA_FLOAT16(c, a, b) \
    do { \
        HALF_MMA_FLOAT16(c, (a)[0], (a)[1], (b)[0]); \
        HALF_MMA_FLOAT16(c, (a)[2], (a)[3], (b)[1]); \
    } while (0)
#endif

#define FLOAT16_TO_FLOAT32(value, bits) asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits))
#define FLOAT32_TO_FLOAT16(bits, value) asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value))
#if __CUDA_ARCH__ >= 800
#define FLOAT32_TO_BFLOAT16(bits, value) asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value))
#else
// By bits, to nearest, ties to even; a NaN stays one.
#define FLOAT32_TO_BFLOAT16(bits, value) \
    do { \
        const unsigned int word = __float_as_uint(value); \
        bits = (word & 0x7fffffffu) > 0x7f800000u ? (unsigned short)0x7fc0 : (unsigned short)((word + 0x7fffu + ((word >> 16) & 1u)) >> 16); \
    } while (0)
#endif
#endif

struct bfloat16 { unsigned short bits; };
struct float16 { unsigned short bits; };

// Arithmetic is in float32 for every element type.
__device__ inline float to_float(float value) { return value; }
__device__ inline float to_float(bfloat16 value) { return __uint_as_float((unsigned int)value.bits << 16); }
__device__ inline float to_float(float16 value) { float result; FLOAT16_TO_FLOAT32(result, value.bits); return result; }

// Rounds to nearest, ties to even.
__device__ inline void round_to(float &element, float value) { element = value; }
__device__ inline void round_to(bfloat16 &element, float value) { FLOAT32_TO_BFLOAT16(element.bits, value); }
__device__ inline void round_to(float16 &element, float value) { FLOAT32_TO_FLOAT16(element.bits, value); }

template <typename T>
__device__ inline float rounded(float value) { T element; round_to(element, value); return to_float(element); }

// The elements of a word of 32 bits: one float32, or two of 16 bits.
__device__ inline void unpack(unsigned int word, float *values, float) { values[0] = __uint_as_float(word); }
__device__ inline void unpack(unsigned int word, float *values, bfloat16) { values[0] = __uint_as_float(word << 16); values[1] = __uint_as_float(word & 0xffff0000u); }
__device__ inline void unpack(unsigned int word, float *values, float16) { values[0] = to_float(float16{(unsigned short)word}); values[1] = to_float(float16{(unsigned short)(word >> 16)}); }

template <typename T>
__device__ inline unsigned int pack_pair(float first, float second)
{
    T low, high;
    round_to(low, first);
    round_to(high, second);
    return (unsigned int)low.bits | ((unsigned int)high.bits << 16);
}

__device__ inline unsigned int pack(const float *values, float) { return __float_as_uint(values[0]); }
template <typename T>
__device__ inline unsigned int pack(const float *values, T) { return pack_pair<T>(values[0], values[1]); }

// Loads and stores of Count neighbours: as one access where their address is aligned, one by one otherwise.
template <int Count, bool Aligned, typename T>
struct Neighbours
{
    static constexpr int Bytes = Count * (int)sizeof(T), PerWord = 4 / (int)sizeof(T), WordCount = Bytes / 4;
    static_assert(Bytes == 16 || Bytes == 8, "one access takes 8 or 16 bytes");

    // The words of an aligned access, before they are made numbers.
    __device__ static void fetch(GLOBAL(const T) from, unsigned int (&words)[WordCount])
    {
        if constexpr (Bytes == 16)
        {
            const uint4 all = CONST_WORDS_AT(uint4, from);
            words[0] = all.x; words[1] = all.y; words[2] = all.z; words[3] = all.w;
        }
        else
        {
            const uint2 all = CONST_WORDS_AT(uint2, from);
            words[0] = all.x; words[1] = all.y;
        }
    }

    __device__ static void to_floats(const unsigned int (&words)[WordCount], float (&values)[Count])
    {
#pragma unroll
        for (int word = 0; word < WordCount; word++) unpack(words[word], values + word * PerWord, T());
    }

    __device__ static void load(GLOBAL(const T) from, float (&values)[Count])
    {
        if constexpr (Aligned)
        {
            unsigned int words[WordCount];
            fetch(from, words);
            to_floats(words, values);
        }
        else
        {
#pragma unroll
            for (int i = 0; i < Count; i++) values[i] = to_float(from[i]);
        }
    }

    __device__ static void store(GLOBAL(T) to, const float (&values)[Count])
    {
        if constexpr (Aligned)
        {
            unsigned int words[WordCount];
#pragma unroll
            for (int word = 0; word < WordCount; word++) words[word] = pack(values + word * PerWord, T());
            if constexpr (Bytes == 16) WORDS_AT(uint4, to) = uint4{words[0], words[1], words[2], words[3]};
            else WORDS_AT(uint2, to) = uint2{words[0], words[1]};
        }
        else
        {
#pragma unroll
            for (int i = 0; i < Count; i++)
            {
                T element;
                round_to(element, values[i]);
                to[i] = element;
            }
        }
    }
};

// Whether this block is the last of `blocks` that come here; what the others wrote before is then visible to all its threads. The counter is zero again for the next launch.
__device__ inline bool is_last_block(GLOBAL(unsigned int) counter, unsigned int blocks)
{
    SHARED(unsigned int, ticket, 1);
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0)
    {
        ticket[0] = atomicAdd(ATOMIC(counter), 1u);
        if (ticket[0] == blocks - 1) counter[0] = 0;
    }
    __syncthreads();
    __threadfence();
    return ticket[0] == blocks - 1;
}
