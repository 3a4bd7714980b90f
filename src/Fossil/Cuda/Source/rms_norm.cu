
// y = x s w with s = 1 / sqrt(mean(x²) + eps) for each row: x s is rounded to the element type before it is multiplied, as the operations of a decoder round it.
template <bool Whole>
__device__ void norm_of_row(GLOBAL(const Element) x, GLOBAL(const Element) weight, GLOBAL(Element) y, POINTER(float) scale, int columns, float eps)
{
    // The weight does not depend on the sum: that of a row of usual length is asked for before it.
    constexpr int Kept = Whole ? VectorsKept : 1, Ahead = Whole ? VectorsKept / 2 : 1;
    const int first = threadIdx.x * Lanes, step = blockDim.x * Lanes, rest = first + Kept * step;
    Words kept[Kept], ahead[Ahead];
    float squares = 0;
#pragma unroll
    for (int i = 0; i < Kept; i++) load_words<Whole>(x, first + i * step, columns, kept[i]);
#pragma unroll
    for (int i = 0; i < Ahead; i++) load_words<Whole>(weight, first + i * step, columns, ahead[i]);
#pragma unroll
    for (int i = 0; i < Kept; i++)
    {
        float values[Lanes];
        to_floats(kept[i], values);
#pragma unroll
        for (int lane = 0; lane < Lanes; lane++) squares += values[lane] * values[lane];
    }
#pragma unroll 1
    for (int column = rest; column < columns; column += step)
    {
        float values[Lanes];
        load_vector<Whole>(x, column, columns, values);
#pragma unroll
        for (int lane = 0; lane < Lanes; lane++) squares += values[lane] * values[lane];
    }

    const float s = 1 / __fsqrt_rn(sum_of_row(squares) / columns + eps);
    if (columns > 0 && threadIdx.x == 0) scale[0] = s;
#pragma unroll
    for (int i = 0; i < Kept; i++)
    {
        float values[Lanes], factors[Lanes];
        to_floats(kept[i], values);
        if (i < Ahead) to_floats(ahead[i], factors);
        else load_vector<Whole>(weight, first + i * step, columns, factors);
#pragma unroll
        for (int lane = 0; lane < Lanes; lane++) values[lane] = rounded<Element>(values[lane] * s) * factors[lane];
        store_vector<Whole>(y, first + i * step, columns, values);
    }
#pragma unroll 1
    for (int column = rest; column < columns; column += step)
    {
        float values[Lanes], factors[Lanes];
        load_vector<Whole>(x, column, columns, values);
        load_vector<Whole>(weight, column, columns, factors);
#pragma unroll
        for (int lane = 0; lane < Lanes; lane++) values[lane] = rounded<Element>(values[lane] * s) * factors[lane];
        store_vector<Whole>(y, column, columns, values);
    }
}

// All without gaps: x and y (rows, columns), weight (columns), scales (rows).
extern "C" __global__ void __launch_bounds__(Threads, 4) rms_norm(
    GLOBAL(const Element) x, GLOBAL(const Element) weight, GLOBAL(Element) y, GLOBAL(float) scales, long long rows, int columns, float eps)
{
    const long long row = own_row();
    const int own_columns = row < rows ? columns : 0;
    if (is_whole<const Element>(x, columns) && is_whole<const Element>(weight, columns) && is_whole<Element>(y, columns))
        norm_of_row<true>(x + row * columns, weight, y + row * columns, scales + row, own_columns, eps);
    else
        norm_of_row<false>(x + row * columns, weight, y + row * columns, scales + row, own_columns, eps);
}

// values = dy w, and their products with x added up.
template <bool Whole>
__device__ void weigh_gradient(
    GLOBAL(const Element) x, GLOBAL(const Element) weight, GLOBAL(const Element) dy, int column, int columns, float (&inputs)[Lanes], float (&values)[Lanes], float &products)
{
    float factors[Lanes];
    load_vector<Whole>(x, column, columns, inputs);
    load_vector<Whole>(dy, column, columns, values);
    load_vector<Whole>(weight, column, columns, factors);
#pragma unroll
    for (int lane = 0; lane < Lanes; lane++)
    {
        values[lane] *= factors[lane];
        products += values[lane] * inputs[lane];
    }
}

// dx = s (dy w) - x s³ mean(dy w x).
template <bool Whole>
__device__ void gradient_of_row(GLOBAL(const Element) x, GLOBAL(const Element) weight, GLOBAL(const Element) dy, GLOBAL(Element) dx, float s, int columns)
{
    // Two matrices are kept, so half of each.
    constexpr int Kept = Whole ? VectorsKept / 2 : 1;
    const int first = threadIdx.x * Lanes, step = blockDim.x * Lanes, rest = first + Kept * step;
    float inputs[Kept][Lanes], values[Kept][Lanes], products = 0;
#pragma unroll
    for (int i = 0; i < Kept; i++) weigh_gradient<Whole>(x, weight, dy, first + i * step, columns, inputs[i], values[i], products);
#pragma unroll 1
    for (int column = rest; column < columns; column += step)
    {
        float input[Lanes], value[Lanes];
        weigh_gradient<Whole>(x, weight, dy, column, columns, input, value, products);
    }

    const float shrink = sum_of_row(products) * (s * s * s) / columns;
#pragma unroll
    for (int i = 0; i < Kept; i++)
    {
#pragma unroll
        for (int lane = 0; lane < Lanes; lane++) values[i][lane] = values[i][lane] * s - inputs[i][lane] * shrink;
        store_vector<Whole>(dx, first + i * step, columns, values[i]);
    }
#pragma unroll 1
    for (int column = rest; column < columns; column += step)
    {
        float input[Lanes], value[Lanes], unused = 0;
        weigh_gradient<Whole>(x, weight, dy, column, columns, input, value, unused);
#pragma unroll
        for (int lane = 0; lane < Lanes; lane++) value[lane] = value[lane] * s - input[lane] * shrink;
        store_vector<Whole>(dx, column, columns, value);
    }
}

// The layout of the forward pass.
extern "C" __global__ void __launch_bounds__(Threads, 3) rms_norm_input_gradient(
    GLOBAL(const Element) x, GLOBAL(const Element) weight, GLOBAL(const Element) dy, GLOBAL(Element) dx, GLOBAL(const float) scales, long long rows, int columns)
{
    const long long row = own_row();
    const int own_columns = row < rows ? columns : 0;
    const float s = row < rows ? scales[row] : 0;
    if (is_whole<const Element>(x, columns) && is_whole<const Element>(weight, columns) && is_whole<const Element>(dy, columns) && is_whole<Element>(dx, columns))
        gradient_of_row<true>(x + row * columns, weight, dy + row * columns, dx + row * columns, s, own_columns);
    else
        gradient_of_row<false>(x + row * columns, weight, dy + row * columns, dx + row * columns, s, own_columns);
}

// totals += dy x s over every Warps-th row from `first` on, for one vector of columns.
template <bool Whole>
__device__ void add_weight_gradient(
    GLOBAL(const Element) x, GLOBAL(const Element) dy, GLOBAL(const float) scales, long long first, long long end, int column, int columns, float (&totals)[Lanes])
{
#pragma unroll 2
    for (long long row = first; row < end; row += Warps)
    {
        float inputs[Lanes], gradients[Lanes];
        load_vector<Whole>(x + row * columns, column, columns, inputs);
        load_vector<Whole>(dy + row * columns, column, columns, gradients);
        const float s = scales[row];
#pragma unroll
        for (int lane = 0; lane < Lanes; lane++) totals[lane] += gradients[lane] * (inputs[lane] * s);
    }
}

// dw = Σ dy x s over the rows. A block has 32 vectors of columns, each warp of it every eighth row; gridDim.y blocks share the rows, their sums go to parts (gridDim.y, columns), and the last of
// them adds these up in their order.
extern "C" __global__ void __launch_bounds__(Threads, 3) rms_norm_weight_gradient(
    GLOBAL(const Element) x, GLOBAL(const Element) dy, GLOBAL(const float) scales, GLOBAL(Element) dw, long long rows, int columns, GLOBAL(float) parts, GLOBAL(unsigned int) counters)
{
    SHARED(float, sums, Warps * 32 * Lanes);
    const int warp = threadIdx.x / 32, thread = threadIdx.x % 32, first_column = blockIdx.x * 32 * Lanes;
    const long long rows_of_block = (rows + gridDim.y - 1) / gridDim.y, first = blockIdx.y * rows_of_block, end = first + rows_of_block < rows ? first + rows_of_block : rows;
    float totals[Lanes] = {};
    if (is_whole<const Element>(x, columns) && is_whole<const Element>(dy, columns))
        add_weight_gradient<true>(x, dy, scales, first + warp, end, first_column + thread * Lanes, columns, totals);
    else
        add_weight_gradient<false>(x, dy, scales, first + warp, end, first_column + thread * Lanes, columns, totals);
#pragma unroll
    for (int lane = 0; lane < Lanes; lane++) sums[(warp * Lanes + lane) * 32 + thread] = totals[lane];
    __syncthreads();

    for (int item = threadIdx.x; item < 32 * Lanes; item += Threads)
    {
        const int column = first_column + item % 32 * Lanes + item / 32;
        if (column >= columns) continue;
        float total = 0;
#pragma unroll
        for (int other = 0; other < Warps; other++) total += sums[other * Lanes * 32 + item];
        if (gridDim.y > 1)
        {
            parts[(long long)blockIdx.y * columns + column] = total;
            continue;
        }
        Element element;
        round_to(element, total);
        dw[column] = element;
    }

    if (gridDim.y == 1 || !is_last_block(counters + blockIdx.x, gridDim.y)) return;
    for (int column = first_column + threadIdx.x; column < columns && column < first_column + 32 * Lanes; column += Threads)
    {
        float total = 0;
        for (unsigned int part = 0; part < gridDim.y; part++) total += LOAD_OF_OTHER_BLOCK(float, parts + ((long long)part * columns + column));
        Element element;
        round_to(element, total);
        dw[column] = element;
    }
}
