// Runs a CUDA source of this library as C++: the blocks of a launch one after the other, the threads of a block as fibers. Each access to memory goes through Checked, which reports
// - addresses outside of what the launch was given, and vectors at unaligned addresses;
// - two accesses of one place, one of them a write, by threads that no barrier keeps apart, or by different blocks;
// - reads of shared memory that nobody wrote;
// - barriers that some threads of a block never reach.
// Include it before the source, and write REGISTER(kernel) behind the source for each kernel.
#pragma once
#define FOSSIL_EMULATED

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

struct dim3 { unsigned int x, y, z; };
struct alignas(8) uint2 { unsigned int x, y; };
struct alignas(16) uint4 { unsigned int x, y, z, w; };

namespace emulation
{
// Who last wrote a place, and who last read it.
struct Access { uint32_t block = 0, epoch = 0, thread = 0; };
struct Place { Access write, read; };
constexpr uint32_t SeveralThreads = ~0u;
constexpr size_t PlaceBytes = 2;

struct Memory
{
    char *start;
    size_t bytes;
    bool is_shared;
    std::vector<Place> places;
};

struct Fiber { void *stack_pointer; char *stack; bool is_done; dim3 index; uint32_t linear; };
struct Warp { uint32_t values[2][32][6]; uint32_t arrived, generation; };

inline std::vector<Memory *> memories;
inline std::string error;
inline uint32_t block, epoch, threads, arrived, generation, finished;
inline std::vector<Fiber> fibers;
inline std::vector<Warp> warps;
inline Fiber *current;
inline void *scheduler;
inline void (*entry)(void *);
inline void *entry_argument;

inline void report(const char *what, const void *address)
{
    if (!error.empty()) return;
    char text[256];
    snprintf(text, sizeof text, "%s at %p by thread %u of block %u", what, address, current ? current->linear : 0, block);
    error = text;
}

// What the threads of a launch move between global memory and registers, and the warps' products by tensor cores.
inline struct { uint64_t loads, loaded_bytes, stores, stored_bytes, products; } traffic;

// Memory that a launch may use; without any, all may be used and only shared memory is checked.
inline bool any_memory = true;
inline Memory *last_memory;

inline Memory *find(const void *address, size_t bytes)
{
    const auto at = (const char *)address;
    if (last_memory && at >= last_memory->start && at + bytes <= last_memory->start + last_memory->bytes) return last_memory;
    for (auto memory : memories)
    {
        if (at >= memory->start && at + bytes <= memory->start + memory->bytes) return last_memory = memory;
    }
    return nullptr;
}

inline bool others(const Memory *memory, const Access &access)
{
    if (access.block != block) return access.block && !memory->is_shared;
    return access.epoch == epoch && access.thread != current->linear;
}

// Checks an access and remembers it; false where it must not be made.
inline bool check(const void *address, size_t bytes, bool is_write, bool is_ordered = false)
{
    auto memory = find(address, bytes);
    if (!memory || !memory->is_shared)
    {
        (is_write ? traffic.stores : traffic.loads)++;
        (is_write ? traffic.stored_bytes : traffic.loaded_bytes) += bytes;
    }
    if (!memory)
    {
        if (any_memory) return true;
        report(is_write ? "A write outside of the memory" : "A read outside of the memory", address);
        return false;
    }
    if (is_ordered) return true;
    const size_t first = ((const char *)address - memory->start) / PlaceBytes, end = ((const char *)address - memory->start + bytes + PlaceBytes - 1) / PlaceBytes;
    for (size_t i = first; i < end; i++)
    {
        auto &place = memory->places[i];
        if (others(memory, place.write)) report(is_write ? "Two threads write the same place" : "A thread reads what another one writes", address);
        if (is_write)
        {
            if (others(memory, place.read)) report("A thread writes what another one reads", address);
            place.write = {block, epoch, current->linear};
        }
        else
        {
            if (memory->is_shared && place.write.block != block) report("Shared memory is read that nobody wrote", address);
            const bool is_same = place.read.block == block && place.read.epoch == epoch;
            place.read = {block, epoch, is_same && place.read.thread != current->linear ? SeveralThreads : current->linear};
        }
    }
    return true;
}

template <typename T>
struct Reference
{
    T *address;
    operator T() const { return check(address, sizeof(T), false) ? *address : T(); }
    T operator=(T value) const { if (check(address, sizeof(T), true)) *address = value; return value; }
    T operator=(const Reference &other) const { return *this = (T)other; }
    T operator+=(T value) const { return *this = (T)*this + value; }
};

template <typename T>
struct Checked
{
    using Value = std::remove_const_t<T>;
    T *address;

    Checked() = default;
    Checked(std::nullptr_t) : address(nullptr) { }
    Checked(T *address) : address(address) { }
    template <typename U, typename = std::enable_if_t<std::is_same_v<const U, T> && !std::is_same_v<U, T>>>
    Checked(Checked<U> other) : address(other.address) { }

    explicit operator bool() const { return address; }
    Checked operator+(long long offset) const { return address + offset; }
    auto operator[](long long index) const
    {
        if constexpr (std::is_const_v<T>) return check(address + index, sizeof(T), false) ? (Value)address[index] : Value();
        else return Reference<T>{address + index};
    }

    template <typename Words>
    auto words() const
    {
        if ((uintptr_t)address % sizeof(Words)) report("An unaligned vector", address);
        if constexpr (std::is_const_v<T>) return check(address, sizeof(Words), false) ? *(const Words *)address : Words();
        else return Reference<Words>{(Words *)address};
    }

    Value load_of_other_block() const { return check(address, sizeof(T), false, true) ? *address : Value(); }
    T *atomic() const { return check(address, sizeof(T), true, true) ? address : nullptr; }
    bool is_aligned(unsigned int bytes) const { return ((uintptr_t)address & (bytes - 1)) == 0; }
};

// Shared memory: one for all blocks, as these run one after the other, and unwritten at the start of each.
template <typename T, size_t Count>
struct SharedArray
{
    alignas(16) T values[Count];
    Memory memory{(char *)values, sizeof values, true, std::vector<Place>((sizeof values + PlaceBytes - 1) / PlaceBytes)};

    SharedArray() { memories.push_back(&memory); }
    operator Checked<T>() { return values; }
    operator Checked<const T>() { return values; }
    Checked<T> operator+(long long offset) { return values + offset; }
    Reference<T> operator[](long long index) { return {values + index}; }
};

#if !defined(__x86_64__)
#error "The emulation switches between fibers by code for x86-64."
#endif
asm(R"(
.text
.globl fossil_switch_fiber
.hidden fossil_switch_fiber
.type fossil_switch_fiber, @function
fossil_switch_fiber:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
extern "C" __attribute__((visibility("hidden"))) void fossil_switch_fiber(void **from, void *to);
}

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulation
{
inline void yield()
{
    auto self = current;
    fossil_switch_fiber(&self->stack_pointer, scheduler);
    threadIdx = self->index;
}

[[noreturn]] inline void run_fiber()
{
    threadIdx = current->index;
    entry(entry_argument);
    current->is_done = true;
    finished++;
    yield();
    abort();
}

inline void run_block()
{
    constexpr size_t StackBytes = 1 << 16;
    threads = blockDim.x * blockDim.y * blockDim.z;
    if (fibers.size() < threads) fibers.resize(threads);
    warps.assign((threads + 31) / 32, Warp{});
    arrived = finished = 0;
    block++;
    epoch++;
    for (uint32_t i = 0; i < threads; i++)
    {
        auto &fiber = fibers[i];
        if (!fiber.stack) fiber.stack = (char *)malloc(StackBytes);
        fiber.is_done = false;
        fiber.linear = i;
        fiber.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
        // Six registers and the address that the first switch returns to; behind a call the stack is 8 short of 16.
        auto top = (void **)(((uintptr_t)fiber.stack + StackBytes) & ~(uintptr_t)15) - 1;
        *--top = (void *)run_fiber;
        fiber.stack_pointer = top - 6;
    }

    for (uint32_t passes_without_end = 0; finished < threads;)
    {
        const auto before = finished, at = generation;
        uint32_t warp_generations = 0, after = 0;
        for (auto &warp : warps) warp_generations += warp.generation;
        for (uint32_t i = 0; i < threads; i++)
        {
            if (fibers[i].is_done) continue;
            current = &fibers[i];
            fossil_switch_fiber(&scheduler, current->stack_pointer);
        }
        for (auto &warp : warps) after += warp.generation;
        passes_without_end = finished == before && generation == at && after == warp_generations ? passes_without_end + 1 : 0;
        if (passes_without_end < 3) continue;
        report("Some threads of the block never reach a barrier or a shuffle of the others", nullptr);
        return;
    }
}

template <typename... Arguments>
struct Call
{
    void (*kernel)(Arguments...);
    void **arguments;

    static void run(void *self) { ((Call *)self)->run(std::index_sequence_for<Arguments...>()); }
    template <size_t... I>
    void run(std::index_sequence<I...>) { kernel(*(std::remove_reference_t<Arguments> *)arguments[I]...); }
};

using Launch = void (*)(void *kernel, void **arguments);
inline std::unordered_map<std::string, std::pair<Launch, void *>> kernels;

template <typename... Arguments>
void launch(void *kernel, void **arguments)
{
    Call<Arguments...> call{(void (*)(Arguments...))kernel, arguments};
    entry = Call<Arguments...>::run;
    entry_argument = &call;
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
    {
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
        {
            for (blockIdx.x = 0; blockIdx.x < gridDim.x && error.empty(); blockIdx.x++) run_block();
        }
    }
    entry_argument = nullptr;
}

template <typename... Arguments>
bool add(const char *name, void (*kernel)(Arguments...)) { return kernels.emplace(name, std::make_pair(&launch<Arguments...>, (void *)kernel)).second; }
}

#define REGISTER(kernel) static const bool is_registered_##kernel = emulation::add(#kernel, kernel);

// Memory of the launches to come; places that overlap must not be given.
extern "C" inline __attribute__((used, visibility("default"))) void fossil_memory(void *start, size_t bytes)
{
    emulation::memories.push_back(new emulation::Memory{(char *)start, bytes, false, std::vector<emulation::Place>(bytes / emulation::PlaceBytes + 1)});
    emulation::any_memory = false;
}

extern "C" inline __attribute__((used, visibility("default"))) void fossil_forget_memory()
{
    std::vector<emulation::Memory *> shared;
    for (auto memory : emulation::memories)
    {
        if (memory->is_shared) shared.push_back(memory);
        else delete memory;
    }
    emulation::memories = shared;
    emulation::last_memory = nullptr;
    emulation::any_memory = true;
}

// Loads, bytes loaded, stores, bytes stored, and products of a warp in the last launch.
extern "C" inline __attribute__((used, visibility("default"))) void fossil_traffic(uint64_t *numbers)
{
    const auto &t = emulation::traffic;
    const uint64_t all[] = {t.loads, t.loaded_bytes, t.stores, t.stored_bytes, t.products / 32};
    memcpy(numbers, all, sizeof all);
}

// Null, or what was wrong, valid until the next launch.
extern "C" inline __attribute__((used, visibility("default"))) const char *fossil_launch(const char *name, const dim3 *grid, const dim3 *threads, void **arguments)
{
    emulation::error.clear();
    const auto kernel = emulation::kernels.find(name);
    if (kernel == emulation::kernels.end()) return "There is no such kernel.";
    emulation::traffic = {};
    gridDim = *grid;
    blockDim = *threads;
    // Launches are ordered: what one wrote the next may read.
    for (auto memory : emulation::memories) memory->places.assign(memory->places.size(), {});
    kernel->second.first(kernel->second.second, arguments);
    return emulation::error.empty() ? nullptr : emulation::error.c_str();
}

// The names that the sources use.
#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define GLOBAL(type) emulation::Checked<type>
#define POINTER(type) emulation::Checked<type>
#define SHARED(type, name, count) static emulation::SharedArray<type, (size_t)(count)> name
#define WORDS_AT(type, pointer) (pointer).template words<type>()
#define CONST_WORDS_AT(type, pointer) (pointer).template words<type>()
#define IS_ALIGNED(pointer, bytes) (pointer).is_aligned(bytes)
#define ATOMIC(pointer) (pointer).atomic()
#define LOAD_OF_OTHER_BLOCK(type, pointer) (pointer).load_of_other_block()

inline unsigned int __float_as_uint(float value) { unsigned int word; memcpy(&word, &value, 4); return word; }
inline float __uint_as_float(unsigned int word) { float value; memcpy(&value, &word, 4); return value; }

#define FLOAT16_TO_FLOAT32(value, half) do { _Float16 number; const unsigned short half_bits = half; memcpy(&number, &half_bits, 2); value = (float)number; } while (0)
#define FLOAT32_TO_FLOAT16(half, value) do { const _Float16 number = (_Float16)(value); unsigned short half_bits; memcpy(&half_bits, &number, 2); half = half_bits; } while (0)
#define FLOAT32_TO_BFLOAT16(half, value) \
    do { \
        const unsigned int word = __float_as_uint(value); \
        half = (word & 0x7fffffffu) > 0x7f800000u ? (unsigned short)0x7fc0 : (unsigned short)((word + 0x7fffu + ((word >> 16) & 1u)) >> 16); \
    } while (0)

inline float __fmul_rn(float left, float right) { return left * right; }
inline float __fadd_rn(float left, float right) { return left + right; }
inline float __fdiv_rn(float left, float right) { return left / right; }
inline float __fsqrt_rn(float value) { return sqrtf(value); }
inline float __fmaf_rn(float left, float right, float addend) { return fmaf(left, right, addend); }

inline void __threadfence() { }

inline void __syncthreads()
{
    using namespace emulation;
    const auto at = generation;
    if (++arrived == threads)
    {
        arrived = 0;
        epoch++;
        generation++;
        return;
    }
    while (generation == at) yield();
}

inline unsigned int atomicAdd(unsigned int *address, unsigned int value)
{
    if (!address) return 0;
    const auto before = *address;
    *address += value;
    return before;
}

// Each lane of a warp brings words, and gets those of all.
template <size_t Count>
inline const uint32_t (*exchange(const uint32_t (&words)[Count]))[6]
{
    using namespace emulation;
    auto &warp = warps[current->linear / 32];
    const auto at = warp.generation;
    memcpy(warp.values[at % 2][current->linear % 32], words, sizeof words);
    if (++warp.arrived == 32)
    {
        warp.arrived = 0;
        warp.generation++;
    }
    while (warp.generation == at) yield();
    return warp.values[at % 2];
}

inline const uint32_t (*exchange(uint32_t word))[6] { return exchange<1>({word}); }

inline uint32_t lane_of_thread() { return emulation::current->linear % 32; }

inline unsigned int __shfl_sync(unsigned int, unsigned int value, int lane) { return exchange(value)[lane % 32][0]; }

inline float __shfl_xor_sync(unsigned int, float value, int distance) { return __uint_as_float(exchange(__float_as_uint(value))[lane_of_thread() ^ distance][0]); }

inline int __all_sync(unsigned int, int predicate)
{
    const auto all = exchange(predicate != 0);
    for (int lane = 0; lane < 32; lane++)
    {
        if (!all[lane][0]) return 0;
    }
    return 1;
}

// mma.m16n8k16 as PTX describes its fragments: of a, thread 4 g + q has rows g and g + 8, columns 2 q, 2 q + 1, and 8 more; of b the rows where a has columns, column g; of c rows g and g + 8,
// columns 2 q, 2 q + 1. The products of 16-bit numbers are exact in float32; a tensor core's order of additions is not told, so these are in float64.
template <typename Convert>
inline void multiply_fragments(float (&c)[4], const unsigned int (&a)[4], const unsigned int (&b)[2], Convert convert)
{
    emulation::traffic.products++;
    const auto all = exchange<6>({a[0], a[1], a[2], a[3], b[0], b[1]});
    const int group = lane_of_thread() / 4, quad = lane_of_thread() % 4;
    for (int i = 0; i < 4; i++)
    {
        const int low = i / 2, column = quad * 2 + i % 2;
        double sum = c[i];
        for (int k = 0; k < 16; k++)
        {
            const int owner = k % 8 / 2, shift = k % 2 * 16;
            sum += (double)convert(all[group * 4 + owner][k / 8 * 2 + low] >> shift) * convert(all[column * 4 + owner][4 + k / 8] >> shift);
        }
        c[i] = (float)sum;
    }
}

inline float bfloat16_to_float(unsigned short half) { return __uint_as_float((unsigned int)half << 16); }
inline float float16_to_float(unsigned short half) { float value; FLOAT16_TO_FLOAT32(value, half); return value; }

#define HAS_BFLOAT16_MMA 1
#define MMA_BFLOAT16(c, a, b) multiply_fragments(c, a, b, bfloat16_to_float)
#define MMA_FLOAT16(c, a, b) multiply_fragments(c, a, b, float16_to_float)
