
// Few rows: one launch forward and one backward. A block makes some rows of 128 columns of a product: a warp has all its columns, four a thread, and every eighth step of the inner sum; the warps'
// sums are added up in shared memory.
constexpr int ColumnsOfThread = ColumnsOfTile / 32, Warps = Threads / 32;

// Four columns of a matrix that stands for its tiling if it is narrower: column c is c mod width. Where they are not known to be whole, columns behind the end count as zero.
template <bool Whole, typename T>
__device__ void load_columns(GLOBAL(const T) row, int width, int column, int end, float (&values)[ColumnsOfThread])
{
    if constexpr (Whole)
    {
        Neighbours<ColumnsOfThread, true, T>::load(row + (column < width ? column : column % width), values);
    }
    else
    {
#pragma unroll
        for (int i = 0; i < ColumnsOfThread; i++) values[i] = column + i < end ? to_float(row[(column + i) % width]) : 0;
    }
}

// Four columns of what a product is added to, as words: nothing is computed with them, so nothing waits for them. Those behind the end are zero.
using Columns = Neighbours<ColumnsOfThread, true, Element>;

__device__ inline void fetch_result(GLOBAL(const Element) row, int column, int end, bool aligned, unsigned int (&words)[Columns::WordCount])
{
    if (aligned && column + ColumnsOfThread <= end)
    {
        Columns::fetch(row + column, words);
        return;
    }
    float values[ColumnsOfThread];
    load_columns<false, Element>(row, end, column, end, values);
#pragma unroll
    for (int word = 0; word < Columns::WordCount; word++) words[word] = pack(values + word * Columns::PerWord, Element());
}

// Four columns, rounded and written.
__device__ inline void store_result(GLOBAL(Element) row, int column, int end, bool aligned, const float (&values)[ColumnsOfThread])
{
    if (aligned && column + ColumnsOfThread <= end)
    {
        Columns::store(row + column, values);
        return;
    }
#pragma unroll
    for (int i = 0; i < ColumnsOfThread; i++)
    {
        if (column + i >= end) return;
        Element element;
        round_to(element, values[i]);
        row[column + i] = element;
    }
}

// Whether four neighbours at a multiple of four columns can be loaded as one in every row.
template <typename T>
__device__ bool are_aligned(GLOBAL(const T) matrix, long long stride, int width)
{
    return IS_ALIGNED(matrix, ColumnsOfThread * sizeof(T)) && stride % ColumnsOfThread == 0 && width % ColumnsOfThread == 0;
}

// sums += the product of one step of the inner sum: left[row * left_row] times four columns of right.
template <int Rows>
__device__ void multiply_step(float (&sums)[Rows][ColumnsOfThread], POINTER(const float) left, int left_row, const float (&right)[ColumnsOfThread])
{
#pragma unroll
    for (int row = 0; row < Rows; row++)
    {
        const float factor = left[row * left_row];
#pragma unroll
        for (int i = 0; i < ColumnsOfThread; i++) sums[row][i] += factor * right[i];
    }
}

// The same for the steps first, first + Warps, … of the inner sum: left[row * left_row + step * left_step] times four columns of the row `step` of right.
template <int Rows, bool Whole, typename T>
__device__ void multiply(
    float (&sums)[Rows][ColumnsOfThread], POINTER(const float) left, int left_row, int left_step, GLOBAL(const T) right, long long right_stride, int width, int column, int end, int first, int steps)
{
    constexpr int at_once = Whole ? 4 : 1;
#pragma unroll at_once
    for (int step = first; step < steps; step += Warps)
    {
        float values[ColumnsOfThread];
        load_columns<Whole, T>(right + step * right_stride, width, column, end, values);
        multiply_step<Rows>(sums, left + step * left_step, left_row, values);
    }
}

// Hands the warps' sums over; behind it take_sums gives the total of four columns of a row.
template <int Rows>
__device__ void give_sums(const float (&sums)[Rows][ColumnsOfThread], POINTER(float) shared)
{
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    __syncthreads();
#pragma unroll
    for (int row = 0; row < Rows; row++)
    {
#pragma unroll
        for (int i = 0; i < ColumnsOfThread; i++) shared[((warp * Rows + row) * ColumnsOfThread + i) * 32 + lane] = sums[row][i];
    }
    __syncthreads();
}

template <int Rows>
__device__ void take_sums(POINTER(const float) shared, int row, int lane, float (&totals)[ColumnsOfThread])
{
#pragma unroll
    for (int i = 0; i < ColumnsOfThread; i++)
    {
        totals[i] = 0;
#pragma unroll
        for (int warp = 0; warp < Warps; warp++) totals[i] += shared[((warp * Rows + row) * ColumnsOfThread + i) * 32 + lane];
    }
}

// y += S D with S the shard sum of x, or y = S D without `adds`; shard is D (ShardSize, width) and stands for its tiling. The rows lie along the grid's x, Rows a block, the columns along its y. S stays in shared memory; the
// blocks of the first columns write it to sum too, where a backward pass will want it.
template <int Rows>
__device__ void forward_rows(
    GLOBAL(const Element) x, long long x_stride, GLOBAL(const float) shard, long long shard_stride, int width, GLOBAL(Element) y, long long y_stride, GLOBAL(float) sum, long long sum_stride,
    long long rows, int columns, int outputs, int adds)
{
    constexpr int threads = Threads / Rows, ahead = (ShardSize + Warps - 1) / Warps < 4 ? (ShardSize + Warps - 1) / Warps : 4;
    SHARED(float, scratch, larger(Rows * Lanes * lane_stride(threads), Warps * Rows * ColumnsOfTile));
    SHARED(float, sums, Rows * ShardSize);
    const int group = threadIdx.x / threads, thread = threadIdx.x % threads, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int column = blockIdx.y * ColumnsOfTile + lane * ColumnsOfThread;
    const long long first_row = (long long)blockIdx.x * Rows, row = first_row + group, row_of_y = first_row + warp;
    const bool has_row = row < rows, has_row_of_y = warp < Rows && row_of_y < rows, y_aligned = are_aligned<Element>(y, y_stride, ColumnsOfThread);
    const bool is_whole = column + ColumnsOfThread <= outputs && are_aligned<float>(shard, shard_stride, width);

    // What does not depend on the sums is asked for before them: four columns of y, a row of it for each warp, and this warp's first rows of D.
    unsigned int words[Columns::WordCount] = {};
    float factors[ahead][ColumnsOfThread] = {};
    if (adds && has_row_of_y) fetch_result(y + row_of_y * y_stride, column, outputs, y_aligned, words);
#pragma unroll
    for (int i = 0; i < ahead; i++)
    {
        if (is_whole && warp + i * Warps < ShardSize) load_columns<true, float>(shard + (warp + i * Warps) * shard_stride, width, column, outputs, factors[i]);
    }

    GLOBAL(const Element) from = x + row * x_stride;
    POINTER(float) own = scratch + group * Lanes * lane_stride(threads);
    sum_vectors<VectorsOfFewRows>(from, 0, has_row ? columns / Lanes : 0, own, threads, thread);
    for (int j = thread; j < ShardSize; j += threads)
    {
        const float total = has_row ? sum_of_shard(from, columns, true, own, threads, j) : 0;
        sums[group * ShardSize + j] = total;
        if (sum && has_row && blockIdx.y == 0) sum[row * sum_stride + j] = total;
    }
    __syncthreads();

    float totals[Rows][ColumnsOfThread] = {};
    if (is_whole)
    {
#pragma unroll
        for (int i = 0; i < ahead; i++)
        {
            if (warp + i * Warps < ShardSize) multiply_step<Rows>(totals, sums + (warp + i * Warps), ShardSize, factors[i]);
        }
        multiply<Rows, true, float>(totals, sums, ShardSize, 1, shard, shard_stride, width, column, outputs, warp + ahead * Warps, ShardSize);
    }
    else multiply<Rows, false, float>(totals, sums, ShardSize, 1, shard, shard_stride, width, column, outputs, warp, ShardSize);
    give_sums<Rows>(totals, scratch);
    if (!has_row_of_y) return;
    float values[ColumnsOfThread], addends[ColumnsOfThread];
    Columns::to_floats(words, values);
    take_sums<Rows>(scratch, warp, lane, addends);
#pragma unroll
    for (int i = 0; i < ColumnsOfThread; i++) values[i] += addends[i];
    store_result(y + row_of_y * y_stride, column, outputs, y_aligned, values);
}

extern "C" __global__ void __launch_bounds__(Threads, 2) forward_few_rows(
    GLOBAL(const Element) x, long long x_stride, GLOBAL(const float) shard, long long shard_stride, int width, GLOBAL(Element) y, long long y_stride, GLOBAL(float) sum, long long sum_stride,
    long long rows, int columns, int outputs, int adds)
{
    forward_rows<RowTile>(x, x_stride, shard, shard_stride, width, y, y_stride, sum, sum_stride, rows, columns, outputs, adds);
}

// For a single row, or rows one by one: all threads of a block make the sum of one row.
extern "C" __global__ void __launch_bounds__(Threads, 2) forward_single_rows(
    GLOBAL(const Element) x, long long x_stride, GLOBAL(const float) shard, long long shard_stride, int width, GLOBAL(Element) y, long long y_stride, GLOBAL(float) sum, long long sum_stride,
    long long rows, int columns, int outputs, int adds)
{
    forward_rows<1>(x, x_stride, shard, shard_stride, width, y, y_stride, sum, sum_stride, rows, columns, outputs, adds);
}

// A batch of several adapters: row n takes D from shards[adapters[n]], each (ShardSize, width); a negative number is no adapter.
extern "C" __global__ void __launch_bounds__(Threads, 2) forward_by_adapter(
    GLOBAL(const Element) x, long long x_stride, GLOBAL(const float *const) shards, GLOBAL(const long long) adapters, long long shard_stride, int width, GLOBAL(Element) y, long long y_stride,
    long long rows, int columns, int outputs)
{
    const long long adapter = adapters[blockIdx.x];
    if (adapter >= 0) forward_rows<1>(x, x_stride, shards[adapter], shard_stride, width, y, y_stride, nullptr, 0, rows, columns, outputs, true);
}

constexpr int FloatsOfBackward = larger(RowTile * ShardSize, (Warps * ColumnsOfTile + MostRows) * ShardsOfTile);

// dS of some rows from 128 columns of dy, four a thread: a warp makes the sums of every eighth row of D, and its first thread writes them.
template <bool Whole>
__device__ void multiply_transposed(
    const float (&left)[RowTile][ColumnsOfThread], GLOBAL(const float) shard, long long shard_stride, int width, int column, int end, POINTER(float) sums, int rows)
{
    constexpr int at_once = Whole ? 2 : 1;
#pragma unroll at_once
    for (int j = threadIdx.x / 32; j < ShardSize; j += Warps)
    {
        float right[ColumnsOfThread];
        load_columns<Whole, float>(shard + j * shard_stride, width, column, end, right);
#pragma unroll
        for (int row = 0; row < RowTile; row++)
        {
            float total = 0;
#pragma unroll
            for (int i = 0; i < ColumnsOfThread; i++) total += left[row][i] * right[i];
#pragma unroll
            for (int distance = 16; distance > 0; distance /= 2) total += __shfl_xor_sync(0xffffffffu, total, distance);
            if (threadIdx.x % 32 == 0 && row < rows) sums[row * ShardSize + j] = total;
        }
    }
}

// The sums of `parts` blocks in scratch (parts, rows, ShardSize) are added up for up to RowTile rows, rounded to the element type, as a tensor of that type would be, and added to dx. The threads
// share out the parts, and then the rows, whatever there is of them: each has few loads to wait for.
__device__ inline void add_tiled_parts(
    GLOBAL(const float) scratch, int parts, GLOBAL(Element) dx, long long dx_stride, long long first_row, long long rows, int columns, bool adds, POINTER(float) gradients)
{
    constexpr int LoadsOfParts = 8;
    const int tile_rows = least(rows - first_row, RowTile), items = tile_rows * ShardSize, groups = larger(Threads / items, 1);
    for (int item = threadIdx.x; item < items * groups; item += Threads)
    {
        float total = 0;
        for (int part = item / items; part < parts; part += LoadsOfParts * groups)
        {
            float sums[LoadsOfParts];
#pragma unroll
            for (int i = 0; i < LoadsOfParts; i++)
            {
                const int other = part + i * groups;
                sums[i] = other < parts ? LOAD_OF_OTHER_BLOCK(float, scratch + ((other * rows + first_row) * ShardSize + item % items)) : 0;
            }
#pragma unroll
            for (int i = 0; i < LoadsOfParts; i++) total += sums[i];
        }
        gradients[item] = total;
    }
    __syncthreads();
    if (groups > 1)
    {
        for (int item = threadIdx.x; item < items; item += Threads)
        {
            float total = 0;
            for (int group = 0; group < groups; group++) total += gradients[group * items + item];
            gradients[item] = total;
        }
        __syncthreads();
    }

    int threads = Threads;
    while (threads * tile_rows > Threads) threads /= 2;
    const int group = threadIdx.x / threads, thread = threadIdx.x % threads;
    if (group < tile_rows)
    {
        GLOBAL(Element) to = dx + (first_row + group) * dx_stride;
        add_tiled_vectors<VectorsOfFewRows>(to, 0, columns / Lanes, gradients + group * ShardSize, threads, thread, true, adds);
        add_tiled_tail(to, columns, gradients + group * ShardSize, threads, thread, true, adds);
    }
    __syncthreads();
}

// dS = dy Dᵀ for RowTile rows, and dx += tile(dS). Each of `parts` blocks takes 128 columns of dy and leaves its sums in scratch (parts, rows, ShardSize); the last of them goes on with these.
__device__ inline void input_gradient(
    GLOBAL(const Element) dy, long long dy_stride, GLOBAL(const float) shard, long long shard_stride, int width, GLOBAL(Element) dx, long long dx_stride, long long rows, int columns, int outputs,
    int adds, GLOBAL(float) scratch, GLOBAL(unsigned int) counters, unsigned int tile, unsigned int part, unsigned int parts, POINTER(float) gradients)
{
    const int lane = threadIdx.x % 32, column = part * ColumnsOfTile + lane * ColumnsOfThread;
    const long long first_row = (long long)tile * RowTile;
    const bool is_whole = column + ColumnsOfThread <= outputs, is_dy_whole = is_whole && are_aligned<Element>(dy, dy_stride, ColumnsOfThread);
    float left[RowTile][ColumnsOfThread];
    unsigned int words[RowTile][Columns::WordCount];
#pragma unroll
    for (int row = 0; row < RowTile; row++)
    {
        GLOBAL(const Element) from = dy + (first_row + row < rows ? first_row + row : rows - 1) * dy_stride;
        fetch_result(from, column, outputs, is_dy_whole, words[row]);
    }
#pragma unroll
    for (int row = 0; row < RowTile; row++) Columns::to_floats(words[row], left[row]);

    POINTER(float) to = scratch + (part * rows + first_row) * ShardSize;
    const int tile_rows = least(rows - first_row, RowTile);
    // Every thread of a warp comes through the same loop: they add up their columns.
    if (__all_sync(0xffffffffu, is_whole && are_aligned<float>(shard, shard_stride, width))) multiply_transposed<true>(left, shard, shard_stride, width, column, outputs, to, tile_rows);
    else multiply_transposed<false>(left, shard, shard_stride, width, column, outputs, to, tile_rows);

    if (is_last_block(counters + tile, parts)) add_tiled_parts(scratch, parts, dx, dx_stride, first_row, rows, columns, adds, gradients);
}

// dD = Sᵀ dy, 8 rows and 128 columns of it; where D stands for its tiling, the sum over the tiles.
__device__ inline void shard_gradient(
    GLOBAL(const Element) dy, long long dy_stride, GLOBAL(const float) sum, long long sum_stride, GLOBAL(float) gradient, long long gradient_stride, int width, int rows, int outputs,
    unsigned int tile, POINTER(float) shared)
{
    constexpr int tiles_down = (ShardSize + ShardsOfTile - 1) / ShardsOfTile;
    POINTER(float) left = shared + Warps * ColumnsOfTile * ShardsOfTile;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, first_shard = tile % tiles_down * ShardsOfTile, column = tile / tiles_down * ColumnsOfTile + lane * ColumnsOfThread;
    for (int item = threadIdx.x; item < rows * ShardsOfTile; item += Threads)
    {
        const int j = first_shard + item % ShardsOfTile;
        left[item] = j < ShardSize ? sum[item / ShardsOfTile * sum_stride + j] : 0;
    }
    __syncthreads();

    const bool is_whole = column + ColumnsOfThread <= width && are_aligned<Element>(dy, dy_stride, width);
    float totals[ShardsOfTile][ColumnsOfThread] = {};
    for (int start = 0; start < outputs; start += width)
    {
        if (is_whole) multiply<ShardsOfTile, true, Element>(totals, left, 1, ShardsOfTile, dy + start, dy_stride, width, column, width, warp, rows);
        else multiply<ShardsOfTile, false, Element>(totals, left, 1, ShardsOfTile, dy + start, dy_stride, width, column, width, warp, rows);
    }
    give_sums<ShardsOfTile>(totals, shared);

    const int j = first_shard + warp;
    float values[ColumnsOfThread];
    take_sums<ShardsOfTile>(shared, warp, lane, values);
    if (j >= ShardSize) return;
#pragma unroll
    for (int i = 0; i < ColumnsOfThread; i++)
    {
        if (column + i < width) gradient[j * gradient_stride + column + i] = values[i];
    }
}

// Both gradients of y += S D in one launch: the first blocks of the grid make that of x, those behind them that of D. dx is null where x needs none, and D's blocks are left out where D needs none.
// Without `adds` dx is written and not read.
extern "C" __global__ void __launch_bounds__(Threads, 2) backward_few_rows(
    GLOBAL(const Element) dy, long long dy_stride, GLOBAL(const float) shard, long long shard_stride, int width, GLOBAL(const float) sum, long long sum_stride, GLOBAL(Element) dx, long long dx_stride,
    GLOBAL(float) gradient, long long gradient_stride, long long rows, int columns, int outputs, int adds, GLOBAL(float) scratch, GLOBAL(unsigned int) counters)
{
    SHARED(float, shared, FloatsOfBackward);
    const unsigned int parts = (outputs + ColumnsOfTile - 1) / ColumnsOfTile, blocks = dx ? (unsigned int)((rows + RowTile - 1) / RowTile) * parts : 0;
    if (blockIdx.x < blocks)
        input_gradient(dy, dy_stride, shard, shard_stride, width, dx, dx_stride, rows, columns, outputs, adds, scratch, counters, blockIdx.x / parts, blockIdx.x % parts, parts, shared);
    else
        shard_gradient(dy, dy_stride, sum, sum_stride, gradient, gradient_stride, width, (int)rows, outputs, blockIdx.x - blocks, shared);
}
