
// y = act(gate) up, over matrices without gaps as one row: a vector a thread. act(gate) is rounded to the element type before it is multiplied. Both activations are x σ(z) with σ(z) = 1 / (1 + exp(-z)):
// z = x for SiLU, and for GELU by its approximation with tanh z = 2 sqrt(2 / π) (x + 0.044715 x³), as (1 + tanh(z / 2)) / 2 is σ(z).
struct Silu
{
    __device__ static float argument(float x) { return x; }
    __device__ static float slope(float) { return 1; }
};

struct Gelu
{
    __device__ static float argument(float x) { return 1.5957691216057308f * x * (1 + 0.044715f * x * x); }
    __device__ static float slope(float x) { return 1.5957691216057308f * (1 + 3 * 0.044715f * x * x); }
};

template <typename Activation, bool Whole>
__device__ void gate_vector(GLOBAL(const Element) gate, GLOBAL(const Element) up, GLOBAL(Element) y, int count)
{
    float values[Lanes], factors[Lanes];
    load_vector<Whole>(gate, 0, count, values);
    load_vector<Whole>(up, 0, count, factors);
#pragma unroll
    for (int i = 0; i < Lanes; i++) values[i] = rounded<Element>(values[i] / (1 + expf(-Activation::argument(values[i])))) * factors[i];
    store_vector<Whole>(y, 0, count, values);
}

// d up = dy x σ, d gate = dy up σ (1 + x (1 - σ) z').
template <typename Activation, bool Whole>
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
        const float value = values[i], gradient = gradients[i], denominator = 1 + expf(-Activation::argument(value)), sigmoid = 1 / denominator;
        gradients[i] = gradient * (value / denominator);
        values[i] = gradient * factors[i] * sigmoid * (1 + value * (1 - sigmoid) * Activation::slope(value));
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

template <typename Activation>
__device__ void gate_all(GLOBAL(const Element) gate, GLOBAL(const Element) up, GLOBAL(Element) y, long long count)
{
    long long first;
    const int own = own_elements(count, first);
    if (own == 0) return;
    if (own == Lanes && IS_ALIGNED(gate, 16) && IS_ALIGNED(up, 16) && IS_ALIGNED(y, 16)) gate_vector<Activation, true>(gate + first, up + first, y + first, own);
    else gate_vector<Activation, false>(gate + first, up + first, y + first, own);
}

template <typename Activation>
__device__ void gate_gradients(
    GLOBAL(const Element) gate, GLOBAL(const Element) up, GLOBAL(const Element) dy, GLOBAL(Element) gate_gradient, GLOBAL(Element) up_gradient, long long count)
{
    long long first;
    const int own = own_elements(count, first);
    if (own == 0) return;
    if (own == Lanes && IS_ALIGNED(gate, 16) && IS_ALIGNED(up, 16) && IS_ALIGNED(dy, 16) && IS_ALIGNED(gate_gradient, 16) && IS_ALIGNED(up_gradient, 16))
        gate_gradient_vector<Activation, true>(gate + first, up + first, dy + first, gate_gradient + first, up_gradient + first, own);
    else
        gate_gradient_vector<Activation, false>(gate + first, up + first, dy + first, gate_gradient + first, up_gradient + first, own);
}

extern "C" __global__ void __launch_bounds__(Threads, 4) silu_gate(GLOBAL(const Element) gate, GLOBAL(const Element) up, GLOBAL(Element) y, long long count) { gate_all<Silu>(gate, up, y, count); }

extern "C" __global__ void __launch_bounds__(Threads, 4) gelu_gate(GLOBAL(const Element) gate, GLOBAL(const Element) up, GLOBAL(Element) y, long long count) { gate_all<Gelu>(gate, up, y, count); }

extern "C" __global__ void __launch_bounds__(Threads, 4) silu_gate_backward(
    GLOBAL(const Element) gate, GLOBAL(const Element) up, GLOBAL(const Element) dy, GLOBAL(Element) gate_gradient, GLOBAL(Element) up_gradient, long long count)
{
    gate_gradients<Silu>(gate, up, dy, gate_gradient, up_gradient, count);
}

extern "C" __global__ void __launch_bounds__(Threads, 4) gelu_gate_backward(
    GLOBAL(const Element) gate, GLOBAL(const Element) up, GLOBAL(const Element) dy, GLOBAL(Element) gate_gradient, GLOBAL(Element) up_gradient, long long count)
{
    gate_gradients<Gelu>(gate, up, dy, gate_gradient, up_gradient, count);
}
