
// Rotary positions: pairs of dimensions (i, i + head_dim / 2) turn by their position's angle. The angles are float32 (positions, head_dim); their rows repeat for each sequence. null for no rotation.
struct Angles { float cos[Lanes], sin[Lanes]; };

template <bool Whole>
__device__ void load_angles(GLOBAL(const float) table, int pair, int half, float (&values)[Lanes])
{
#pragma unroll
    for (int i = 0; i < Lanes; i += 4)
    {
        float four[4];
        if constexpr (Whole)
        {
            Neighbours<4, true, float>::load(table + pair + i, four);
        }
        else
        {
#pragma unroll
            for (int k = 0; k < 4; k++) four[k] = pair + i + k < half ? table[pair + i + k] : 0;
        }
        // As a table of the element type would have them.
#pragma unroll
        for (int k = 0; k < 4; k++) values[i + k] = rounded<Element>(four[k]);
    }
}

// One row of heads. Forward each is turned and written `repeat` times, as a group of queries needs its keys and values; back the repetitions are added up, and the sum turned back.
template <bool Back, bool Whole>
__device__ void rotate_row(POINTER(const Element) from, POINTER(Element) to, GLOBAL(const float) cos, GLOBAL(const float) sin, int columns, int size, int repeat)
{
    const int half = size / 2, vectors = (half + Lanes - 1) / Lanes, loads = Back ? repeat : 1, stores = Back ? 1 : repeat;
    for (int item = threadIdx.x; item < columns / size * vectors; item += blockDim.x)
    {
        const int head = item / vectors, pair = item % vectors * Lanes;
        float a[Lanes], b[Lanes];
        load_vector<Whole>(from + head * loads * size, pair, half, a);
        load_vector<Whole>(from + (head * loads * size + half), pair, half, b);
        for (int copy = 1; copy < loads; copy++)
        {
            const int other = (head * loads + copy) * size;
            float first[Lanes], second[Lanes];
            load_vector<Whole>(from + other, pair, half, first);
            load_vector<Whole>(from + (other + half), pair, half, second);
#pragma unroll
            for (int i = 0; i < Lanes; i++)
            {
                a[i] += first[i];
                b[i] += second[i];
            }
        }
        if (cos)
        {
            Angles angles;
            load_angles<Whole>(cos, pair, half, angles.cos);
            load_angles<Whole>(sin, pair, half, angles.sin);
#pragma unroll
            for (int i = 0; i < Lanes; i++)
            {
                const float x = a[i], y = b[i];
                if constexpr (Back)
                {
                    a[i] = x * angles.cos[i] + y * angles.sin[i];
                    b[i] = y * angles.cos[i] - x * angles.sin[i];
                }
                else
                {
                    // Each operation rounds, as those on tensors do.
                    a[i] = rounded<Element>(__fmul_rn(x, angles.cos[i])) - rounded<Element>(__fmul_rn(y, angles.sin[i]));
                    b[i] = rounded<Element>(__fmul_rn(y, angles.cos[i])) + rounded<Element>(__fmul_rn(x, angles.sin[i]));
                }
            }
        }
        for (int copy = 0; copy < stores; copy++)
        {
            const int other = (head * stores + copy) * size;
            store_vector<Whole>(to + other, pair, half, a);
            store_vector<Whole>(to + (other + half), pair, half, b);
        }
    }
}

// Whether halves of heads are whole vectors in both matrices, and the angles can be read four at a time.
__device__ inline bool are_whole_heads(POINTER(const Element) from, POINTER(const Element) to, GLOBAL(const float) cos, GLOBAL(const float) sin, int size)
{
    return is_whole<const Element>(from, size / 2) && is_whole<const Element>(to, size / 2) && IS_ALIGNED(cos, 16) && IS_ALIGNED(sin, 16);
}

// heads (rows, columns), output (rows, columns * repeat), both without gaps; the same memory where nothing is repeated.
extern "C" __global__ void __launch_bounds__(Threads, 4) rotary(
    POINTER(const Element) heads, POINTER(Element) output, GLOBAL(const float) cos, GLOBAL(const float) sin, long long positions, long long rows, int columns, int size, int repeat)
{
    const long long row = own_row(), angle = cos ? row % positions * size : 0;
    if (row >= rows) return;
    if (are_whole_heads(heads, output, cos, sin, size)) rotate_row<false, true>(heads + row * columns, output + row * columns * repeat, cos + angle, sin + angle, columns, size, repeat);
    else rotate_row<false, false>(heads + row * columns, output + row * columns * repeat, cos + angle, sin + angle, columns, size, repeat);
}

// dy (rows, columns * repeat), dx (rows, columns); likewise.
extern "C" __global__ void __launch_bounds__(Threads, 4) rotary_backward(
    POINTER(const Element) dy, POINTER(Element) dx, GLOBAL(const float) cos, GLOBAL(const float) sin, long long positions, long long rows, int columns, int size, int repeat)
{
    const long long row = own_row(), angle = cos ? row % positions * size : 0;
    if (row >= rows) return;
    if (are_whole_heads(dy, dx, cos, sin, size)) rotate_row<true, true>(dy + row * columns * repeat, dx + row * columns, cos + angle, sin + angle, columns, size, repeat);
    else rotate_row<true, false>(dy + row * columns * repeat, dx + row * columns, cos + angle, sin + angle, columns, size, repeat);
}
