
// The optimizer over flat buffers, one pass each. A thread takes four neighbours at a time where all buffers allow it.
struct AdamW { float decay, beta1, beta2, rest1, rest2, root, epsilon, negative_step; };

// One element, with the roundings of libtorch's operations in their order: what is not fused there is not fused here.
__device__ inline void adamw_step(float &parameter, float gradient, float &first, float &second, const AdamW &c)
{
    first = __fmaf_rn(gradient, c.rest1, __fmul_rn(first, c.beta1));
    second = __fmaf_rn(__fmul_rn(gradient, c.rest2), gradient, __fmul_rn(second, c.beta2));
    const float root = __fadd_rn(__fdiv_rn(__fsqrt_rn(second), c.root), c.epsilon);
    parameter = __fadd_rn(__fmul_rn(parameter, c.decay), __fdiv_rn(__fmul_rn(first, c.negative_step), root));
}

// Updates parameter and both moments in place.
extern "C" __global__ void __launch_bounds__(Threads, 4) adamw(
    GLOBAL(float) parameter, GLOBAL(const float) gradient, GLOBAL(float) first, GLOBAL(float) second, long long count, float decay, float beta1, float beta2, float rest1, float rest2, float root,
    float epsilon, float negative_step)
{
    const AdamW c{decay, beta1, beta2, rest1, rest2, root, epsilon, negative_step};
    const long long thread = (long long)blockIdx.x * Threads + threadIdx.x, step = (long long)gridDim.x * Threads;
    const bool aligned = IS_ALIGNED(parameter, 16) && IS_ALIGNED(gradient, 16) && IS_ALIGNED(first, 16) && IS_ALIGNED(second, 16);
    const long long whole = aligned ? count / ValuesOfThread : 0;
    for (long long vector = thread; vector < whole; vector += step)
    {
        const long long at = vector * ValuesOfThread;
        float p[ValuesOfThread], g[ValuesOfThread], m[ValuesOfThread], v[ValuesOfThread];
        Neighbours<ValuesOfThread, true, float>::load(parameter + at, p);
        Neighbours<ValuesOfThread, true, float>::load(gradient + at, g);
        Neighbours<ValuesOfThread, true, float>::load(first + at, m);
        Neighbours<ValuesOfThread, true, float>::load(second + at, v);
#pragma unroll
        for (int i = 0; i < ValuesOfThread; i++) adamw_step(p[i], g[i], m[i], v[i], c);
        Neighbours<ValuesOfThread, true, float>::store(parameter + at, p);
        Neighbours<ValuesOfThread, true, float>::store(first + at, m);
        Neighbours<ValuesOfThread, true, float>::store(second + at, v);
    }

    for (long long i = whole * ValuesOfThread + thread; i < count; i += step)
    {
        float p = parameter[i], m = first[i], v = second[i];
        adamw_step(p, gradient[i], m, v, c);
        parameter[i] = p;
        first[i] = m;
        second[i] = v;
    }
}

// The sum of the squares in float64: each block leaves its own in parts (gridDim.x), and the last one adds these up in their order.
extern "C" __global__ void __launch_bounds__(Threads, 4) squared_norm(GLOBAL(const float) values, long long count, GLOBAL(double) norm, GLOBAL(double) parts, GLOBAL(unsigned int) counters)
{
    SHARED(double, sums, Threads);
    const long long thread = (long long)blockIdx.x * Threads + threadIdx.x, step = (long long)gridDim.x * Threads;
    const long long whole = IS_ALIGNED(values, 16) ? count / ValuesOfThread : 0;
    double sum = 0;
    for (long long vector = thread; vector < whole; vector += step)
    {
        float four[ValuesOfThread];
        Neighbours<ValuesOfThread, true, float>::load(values + vector * ValuesOfThread, four);
#pragma unroll
        for (int i = 0; i < ValuesOfThread; i++) sum += (double)four[i] * four[i];
    }
    for (long long i = whole * ValuesOfThread + thread; i < count; i += step)
    {
        const double value = values[i];
        sum += value * value;
    }

    sums[threadIdx.x] = sum;
    for (unsigned int half = Threads / 2; half > 0; half /= 2)
    {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x == 0) parts[blockIdx.x] = sums[0];
    if (!is_last_block(counters, gridDim.x) || threadIdx.x > 0) return;
    double total = 0;
    for (unsigned int part = 0; part < gridDim.x; part++) total += LOAD_OF_OTHER_BLOCK(double, parts + part);
    norm[0] = total;
}
