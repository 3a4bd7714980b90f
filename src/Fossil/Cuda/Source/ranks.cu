
// Sums of gradients over ranks in their order, and the bfloat16 form that travels, with the bits of RankSum on the host.
__device__ inline long long first_element() { return (long long)blockIdx.x * Threads + threadIdx.x; }
__device__ inline long long next_element() { return (long long)gridDim.x * Threads; }
__device__ inline float widened(unsigned short value) { return __uint_as_float((unsigned int)value << 16); }

// Rounds to the nearest, ties to even. Nothing is added where nothing was lost: a negative zero, which stands for no gradient, stays one.
__device__ inline unsigned short narrowed(float value, float &lost)
{
    if (lost != 0) value = __fadd_rn(value, lost);
    const unsigned int bits = __float_as_uint(value);
    lost = 0;
    // Infinite, or no number: the step is not taken, and nothing is made up for.
    if ((bits & 0x7f800000u) == 0x7f800000u) return (unsigned short)((bits >> 16) | ((bits & 0x007fffffu) ? 0x40u : 0u));
    const unsigned short narrow = (unsigned short)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    const float rest = __fadd_rn(value, -widened(narrow));
    if ((__float_as_uint(rest) & 0x7f800000u) != 0x7f800000u) lost = rest;
    return narrow;
}

template <typename T>
__device__ inline void sum_rows(GLOBAL(const T) rows, int length, int ranks, GLOBAL(T) sum)
{
    for (long long i = first_element(); i < length; i += next_element())
    {
        T total = rows[i];
        for (int rank = 1; rank < ranks; rank++) total += rows[(long long)rank * length + i];
        sum[i] = total;
    }
}

// rows (ranks, length), sum (length), which is none of the rows.
extern "C" __global__ void __launch_bounds__(Threads, 4) sum_ranks_float(GLOBAL(const float) rows, int length, int ranks, GLOBAL(float) sum) { sum_rows<float>(rows, length, ranks, sum); }
extern "C" __global__ void __launch_bounds__(Threads, 4) sum_ranks_double(GLOBAL(const double) rows, int length, int ranks, GLOBAL(double) sum) { sum_rows<double>(rows, length, ranks, sum); }

// The same of bfloat16, with what earlier sums have lost.
extern "C" __global__ void __launch_bounds__(Threads, 4) sum_ranks_narrow(GLOBAL(const unsigned short) rows, int length, int ranks, GLOBAL(float) lost, GLOBAL(unsigned short) sum)
{
    for (long long i = first_element(); i < length; i += next_element())
    {
        float total = widened(rows[i]), rest = lost[i];
        for (int rank = 1; rank < ranks; rank++) total = __fadd_rn(total, widened(rows[(long long)rank * length + i]));
        sum[i] = narrowed(total, rest);
        lost[i] = rest;
    }
}

extern "C" __global__ void __launch_bounds__(Threads, 4) narrow_gradients(GLOBAL(const float) values, int count, GLOBAL(float) lost, GLOBAL(unsigned short) narrow)
{
    for (long long i = first_element(); i < count; i += next_element())
    {
        float rest = lost[i];
        narrow[i] = narrowed(values[i], rest);
        lost[i] = rest;
    }
}

extern "C" __global__ void __launch_bounds__(Threads, 4) widen_gradients(GLOBAL(const unsigned short) narrow, int count, GLOBAL(float) values)
{
    for (long long i = first_element(); i < count; i += next_element()) values[i] = widened(narrow[i]);
}

extern "C" __global__ void __launch_bounds__(Threads, 4) give_back(GLOBAL(float) lost, int count, GLOBAL(float) values)
{
    for (long long i = first_element(); i < count; i += next_element())
    {
        const float rest = lost[i];
        if (rest != 0) values[i] = __fadd_rn(values[i], rest);
        lost[i] = 0;
    }
}
