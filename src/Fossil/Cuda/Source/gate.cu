
// y = silu(gate) up, over matrices without gaps as one row: a vector a thread. silu(gate) is rounded to the element type before it is multiplied.
template <bool Whole>
__device__ void gate_vector(GLOBAL(const Element) gate, GLOBAL(const Element) up, GLOBAL(Element) y, int count)
{
    float values[Lanes], factors[Lanes];
    load_vector<Whole>(gate, 0, count, values);
    load_vector<Whole>(up, 0, count, factors);
#pragma unroll
    for (int i = 0; i < Lanes; i++) values[i] = rounded<Element>(values[i] / (1 + expf(-values[i]))) * factors[i];
    store_vector<Whole>(y, 0, count, values);
}

// d up = dy silu(gate), d gate = dy up σ (1 + gate (1 - σ)), σ = sigmoid(gate).
template <bool Whole>
__device__ void gate_gradient_vector(
    GLOBAL(const Element) gate, GLOBAL(const Element) up, GLOBAL(const Element) dy, GLOBAL(Element) gate_gradient, GLOBAL(Element) up_gradient, int count)
{
    float values[Lanes], factors[Lanes], gradients[Lanes];
    load_vector<Whole>(gate, 0, count, values);
    load_vector<Whole>(up, 0, count, factors);
    load_vector<Whole>(dy, 0, count, gradients);
#pragma unroll
    for (int i = 0; i < Lanes; i++)
    {
        const float value = values[i], gradient = gradients[i], denominator = 1 + expf(-value), sigmoid = 1 / denominator;
        gradients[i] = gradient * (value / denominator);
        values[i] = gradient * factors[i] * sigmoid * (1 + value * (1 - sigmoid));
    }
    store_vector<Whole>(up_gradient, 0, count, gradients);
    store_vector<Whole>(gate_gradient, 0, count, values);
}

// Elements that this thread has, and whether they are a whole vector: every thread but the last one has, where all addresses are aligned.
__device__ inline int own_elements(long long count, long long &first)
{
    first = ((long long)blockIdx.x * Threads + threadIdx.x) * Lanes;
    return first < count ? least(count - first, Lanes) : 0;
}

extern "C" __global__ void __launch_bounds__(Threads, 4) silu_gate(GLOBAL(const Element) gate, GLOBAL(const Element) up, GLOBAL(Element) y, long long count)
{
    long long first;
    const int own = own_elements(count, first);
    if (own == 0) return;
    if (own == Lanes && IS_ALIGNED(gate, 16) && IS_ALIGNED(up, 16) && IS_ALIGNED(y, 16)) gate_vector<true>(gate + first, up + first, y + first, own);
    else gate_vector<false>(gate + first, up + first, y + first, own);
}

extern "C" __global__ void __launch_bounds__(Threads, 4) silu_gate_backward(
    GLOBAL(const Element) gate, GLOBAL(const Element) up, GLOBAL(const Element) dy, GLOBAL(Element) gate_gradient, GLOBAL(Element) up_gradient, long long count)
{
    long long first;
    const int own = own_elements(count, first);
    if (own == 0) return;
    if (own == Lanes && IS_ALIGNED(gate, 16) && IS_ALIGNED(up, 16) && IS_ALIGNED(dy, 16) && IS_ALIGNED(gate_gradient, 16) && IS_ALIGNED(up_gradient, 16))
        gate_gradient_vector<true>(gate + first, up + first, dy + first, gate_gradient + first, up_gradient + first, own);
    else
        gate_gradient_vector<false>(gate + first, up + first, dy + first, gate_gradient + first, up_gradient + first, own);
}
