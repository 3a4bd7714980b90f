
// As an element of the type that the format rounds to, and then of the kernels'.
template <typename T>
__device__ void round_all(float (&values)[Eight])
{
#pragma unroll
    for (int i = 0; i < Eight; i++) values[i] = rounded<T>(values[i]);
}

template <typename T>
__device__ void store_eight(GLOBAL(T) to, const float (&values)[Eight])
{
    constexpr int at_once = 16 / sizeof(T);
#pragma unroll
    for (int first = 0; first < Eight; first += at_once)
    {
        float part[at_once];
#pragma unroll
        for (int i = 0; i < at_once; i++) part[i] = values[first + i];
        Neighbours<at_once, true, T>::store(to + first, part);
    }
}

template <typename T>
__device__ void fetch_eight(GLOBAL(const T) from, float (&values)[Eight])
{
    constexpr int at_once = 16 / sizeof(T);
#pragma unroll
    for (int first = 0; first < Eight; first += at_once)
    {
        float part[at_once];
        Neighbours<at_once, true, T>::load(from + first, part);
#pragma unroll
        for (int i = 0; i < at_once; i++) values[first + i] = part[i];
    }
}

// Rows written out: values (rows, columns), row n that of numbers[n], or first_row + n without numbers, from first_column on. A block has blockDim.y rows, blockDim.x threads for each.
extern "C" __global__ void __launch_bounds__(Threads, 4) write_rows(
    GLOBAL(const unsigned char) codes, long long row_bytes, GLOBAL(const float) scales, long long block_rows, int scale_columns, int block_columns, long long head_rows,
    GLOBAL(const long long) numbers, long long first_row, int first_column, GLOBAL(Element) values, long long stride, long long rows, int columns)
{
    const Encoded weight{codes, row_bytes, scales, block_rows, scale_columns, block_columns};
    const long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    const long long in_file = row_in_file(numbers ? numbers[row] : first_row + row, head_rows);
    for (int column = threadIdx.x * Eight; column < columns; column += blockDim.x * Eight)
    {
        float eight[Eight];
        Format::decode(weight, in_file, first_column + column, eight);
        round_all<Stored>(eight);
        store_eight<Element>(values + (row * stride + column), eight);
    }
}

// y[n, row] = x[n] · W[row] for up to Count rows of x: a warp has RowsOfWarp rows of W, whose blocks it reads once, and every thread of it every 32nd eight of their columns. With `adds` the products
// are added to y, and rounded once.
template <int Count>
__device__ void multiply_rows(
    const Encoded &weight, long long head_rows, GLOBAL(const Element) x, long long x_stride, int count, GLOBAL(Element) y, long long y_stride, long long rows, int columns, bool adds)
{
    const long long first = ((long long)blockIdx.x * Warps + threadIdx.y) * RowsOfWarp;
    constexpr int at_once = Count == 1 ? 2 : 1;
    float sums[RowsOfWarp][Count] = {};
#pragma unroll at_once
    for (int column = threadIdx.x * Eight; column < columns; column += 32 * Eight)
    {
        float factors[RowsOfWarp][Eight];
#pragma unroll
        for (int i = 0; i < RowsOfWarp; i++)
        {
            Format::decode(weight, row_in_file(first + i < rows ? first + i : rows - 1, head_rows), column, factors[i]);
            round_all<Stored>(factors[i]);
        }
#pragma unroll
        for (int n = 0; n < Count; n++)
        {
            float inputs[Eight];
            fetch_eight<Element>(x + ((n < count ? n : 0) * x_stride + column), inputs);
#pragma unroll
            for (int i = 0; i < RowsOfWarp; i++)
            {
#pragma unroll
                for (int k = 0; k < Eight; k++) sums[i][n] += inputs[k] * factors[i][k];
            }
        }
    }

#pragma unroll
    for (int i = 0; i < RowsOfWarp; i++)
    {
#pragma unroll
        for (int n = 0; n < Count; n++)
        {
#pragma unroll
            for (int distance = 16; distance > 0; distance /= 2) sums[i][n] += __shfl_xor_sync(0xffffffffu, sums[i][n], distance);
            if (threadIdx.x > 0 || first + i >= rows || n >= count) continue;
            GLOBAL(Element) to = y + (n * y_stride + first + i);
            Element element;
            round_to(element, adds ? to_float(to[0]) + sums[i][n] : sums[i][n]);
            to[0] = element;
        }
    }
}

extern "C" __global__ void __launch_bounds__(Threads, 3) multiply_single_row(
    GLOBAL(const unsigned char) codes, long long row_bytes, GLOBAL(const float) scales, long long block_rows, int scale_columns, int block_columns, long long head_rows,
    GLOBAL(const Element) x, long long x_stride, int count, GLOBAL(Element) y, long long y_stride, long long rows, int columns, int adds)
{
    multiply_rows<1>({codes, row_bytes, scales, block_rows, scale_columns, block_columns}, head_rows, x, x_stride, count, y, y_stride, rows, columns, adds);
}

extern "C" __global__ void __launch_bounds__(Threads, 1) multiply_few_rows(
    GLOBAL(const unsigned char) codes, long long row_bytes, GLOBAL(const float) scales, long long block_rows, int scale_columns, int block_columns, long long head_rows,
    GLOBAL(const Element) x, long long x_stride, int count, GLOBAL(Element) y, long long y_stride, long long rows, int columns, int adds)
{
    const Encoded weight{codes, row_bytes, scales, block_rows, scale_columns, block_columns};
    if (count <= 2) multiply_rows<2>(weight, head_rows, x, x_stride, count, y, y_stride, rows, columns, adds);
    else if (count <= 4) multiply_rows<4>(weight, head_rows, x, x_stride, count, y, y_stride, rows, columns, adds);
    else multiply_rows<8>(weight, head_rows, x, x_stride, count, y, y_stride, rows, columns, adds);
}
