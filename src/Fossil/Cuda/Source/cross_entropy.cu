
// What is known of a softmax: the largest logit so far, and the sum of exp(logit - largest). No logit yet is the lowest finite number, so that no difference of infinities arises.
struct Softmax { float largest, sum; };

constexpr float Lowest = -3.402823466e38f;

__device__ inline Softmax joined(Softmax left, Softmax right)
{
    const float largest = fmaxf(left.largest, right.largest);
    return {largest, left.sum * expf(left.largest - largest) + right.sum * expf(right.largest - largest)};
}

// Of all threads of the block, the same for each of them.
__device__ inline Softmax joined_over_block(Softmax own)
{
    SHARED(float, largest, Warps);
    SHARED(float, sums, Warps);
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
        own = joined(own, {__shfl_xor_sync(0xffffffffu, own.largest, distance), __shfl_xor_sync(0xffffffffu, own.sum, distance)});
    const int warp = threadIdx.x / 32;
    if (threadIdx.x % 32 == 0)
    {
        largest[warp] = own.largest;
        sums[warp] = own.sum;
    }
    __syncthreads();
    own = {largest[0], sums[0]};
#pragma unroll
    for (int other = 1; other < Warps; other++) own = joined(own, {largest[other], sums[other]});
    return own;
}

// One row, in blocks of the vocabulary: the softmax is brought up to date with each (Milakov and Gimelshein, arXiv 1805.02867), so the logits are read once for the loss, and once more for the gradient.
template <bool Whole>
__device__ void cross_entropy_of_row(GLOBAL(Element) logits, int target, GLOBAL(float) loss, int columns, bool with_gradient, float scale)
{
    const float nothing = __uint_as_float(0xff800000u);
    const int first = threadIdx.x * Lanes, step = Threads * Lanes;
    Softmax own{Lowest, 0};
    // Read before the barrier behind which it is overwritten.
    const float target_logit = threadIdx.x == 0 ? to_float(logits[target]) : 0;
    for (int column = first; column < columns; column += VectorsKept * step)
    {
        float values[VectorsKept][Lanes], largest = own.largest;
#pragma unroll
        for (int i = 0; i < VectorsKept; i++) load_vector<Whole>(logits, column + i * step, columns, values[i], nothing);
#pragma unroll
        for (int i = 0; i < VectorsKept; i++)
        {
#pragma unroll
            for (int lane = 0; lane < Lanes; lane++) largest = fmaxf(largest, values[i][lane]);
        }
        own.sum *= expf(own.largest - largest);
#pragma unroll
        for (int i = 0; i < VectorsKept; i++)
        {
#pragma unroll
            for (int lane = 0; lane < Lanes; lane++) own.sum += expf(values[i][lane] - largest);
        }
        own.largest = largest;
    }

    own = joined_over_block(own);
    const float log_sum = logf(own.sum);
    if (threadIdx.x == 0) loss[0] = log_sum + own.largest - target_logit;
    if (!with_gradient) return;

    constexpr int AtOnce = VectorsKept / 2;
#pragma unroll 1
    for (int column = first; column < columns; column += AtOnce * step)
    {
        Words words[AtOnce];
#pragma unroll
        for (int i = 0; i < AtOnce; i++) load_words<Whole>(logits, column + i * step, columns, words[i]);
#pragma unroll
        for (int i = 0; i < AtOnce; i++)
        {
            float values[Lanes];
            to_floats(words[i], values);
#pragma unroll
            for (int lane = 0; lane < Lanes; lane++)
            {
                // The target's one is taken off before it is rounded: near one nothing else would be left of the difference.
                values[lane] = (expf(values[lane] - own.largest - log_sum) - (column + i * step + lane == target ? 1 : 0)) * scale;
            }
            store_vector<Whole>(logits, column + i * step, columns, values);
        }
    }
}

// A block has a row of logits (rows, columns), without gaps between its elements. losses (rows); where with_gradient says so, scale (softmax - one-hot) replaces the logits. A row whose target is
// negative does not count.
extern "C" __global__ void __launch_bounds__(Threads, 4) cross_entropy(
    GLOBAL(Element) logits, long long stride, GLOBAL(const long long) targets, long long targets_stride, GLOBAL(float) losses, int columns, int with_gradient, float scale)
{
    const long long row = blockIdx.x, target = targets[row * targets_stride];
    GLOBAL(Element) from = logits + row * stride;
    const bool whole = is_whole<Element>(from, columns);
    if (target >= 0)
    {
        if (whole) cross_entropy_of_row<true>(from, (int)target, losses + row, columns, with_gradient, scale);
        else cross_entropy_of_row<false>(from, (int)target, losses + row, columns, with_gradient, scale);
        return;
    }

    if (threadIdx.x == 0) losses[row] = 0;
    if (!with_gradient) return;
    const float zeros[Lanes] = {};
    for (int column = threadIdx.x * Lanes; column < columns; column += Threads * Lanes)
    {
        if (whole) store_vector<true>(from, column, columns, zeros);
        else store_vector<false>(from, column, columns, zeros);
    }
}
