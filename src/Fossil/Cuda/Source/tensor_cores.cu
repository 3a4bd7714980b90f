// Few rows, with factors of products rounded to the 16-bit element type and multiplied by tensor cores, sums in float32. A warp's mma.m16n8k16 takes 16 columns or shards by 8 rows, the inner sum 16 at
// a time. Which of these a thread has is PTX's: group = lane / 4 and quad = lane % 4 choose them. An inner sum has no order, and columns may be dealt out at will, so they are dealt such that each
// thread has eight neighbours: 16 bytes of x, y or dy.
constexpr int Eight = 8, ShardTiles = (ShardSize + TensorShards - 1) / TensorShards, PaddedShards = TensorShards * ShardTiles;

__device__ inline void multiply_tile(float (&c)[4], const unsigned int (&a)[4], const unsigned int (&b)[2], float16) { MMA_FLOAT16(c, a, b); }

#if HAS_BFLOAT16_MMA
__device__ inline void multiply_tile(float (&c)[4], const unsigned int (&a)[4], const unsigned int (&b)[2], bfloat16) { MMA_BFLOAT16(c, a, b); }
#else
// The same fragments, where no tensor core takes them: each thread collects the row and the columns of its sums from the other threads.
__device__ inline void multiply_tile(float (&c)[4], const unsigned int (&a)[4], const unsigned int (&b)[2], bfloat16)
{
    const int lane = threadIdx.x % 32, group = lane / 4, quad = lane % 4;
#pragma unroll
    for (int pair = 0; pair < 8; pair++)
    {
        float left[2][2], right[2][2];
#pragma unroll
        for (int half = 0; half < 2; half++)
        {
            unpack(__shfl_sync(0xffffffffu, a[pair / 4 * 2 + half], group * 4 + pair % 4), left[half], bfloat16());
            unpack(__shfl_sync(0xffffffffu, b[pair / 4], (quad * 2 + half) * 4 + pair % 4), right[half], bfloat16());
        }
#pragma unroll
        for (int i = 0; i < 4; i++) c[i] += left[i / 2][0] * right[i % 2][0] + left[i / 2][1] * right[i % 2][1];
    }
}
#endif

// Eight neighbours of a matrix that stands for its tiling if it is narrower, columns behind the end as zero. Where they are aligned, whole tiles are a multiple of eight.
template <typename T>
__device__ void load_eight(GLOBAL(const T) row, int width, int column, int end, bool aligned, float (&values)[Eight])
{
    if (aligned && column + Eight <= end)
    {
        GLOBAL(const T) from = row + (column < width ? column : column % width);
        if constexpr (sizeof(T) == 4)
        {
            float parts[2][4];
            Neighbours<4, true, T>::load(from, parts[0]);
            Neighbours<4, true, T>::load(from + 4, parts[1]);
#pragma unroll
            for (int i = 0; i < Eight; i++) values[i] = parts[i / 4][i % 4];
        }
        else Neighbours<Eight, true, T>::load(from, values);
        return;
    }
#pragma unroll
    for (int i = 0; i < Eight; i++) values[i] = column + i < end ? to_float(row[(column + i) % width]) : 0;
}

// The same of a matrix of the element type, as four pairs.
__device__ inline void load_pairs(GLOBAL(const Element) row, int width, int column, int end, bool aligned, unsigned int (&pairs)[Eight / 2])
{
    if (aligned && column + Eight <= end)
    {
        Neighbours<Eight, true, Element>::fetch(row + (column < width ? column : column % width), pairs);
        return;
    }
    float values[Eight];
    load_eight(row, width, column, end, false, values);
#pragma unroll
    for (int i = 0; i < Eight / 2; i++) pairs[i] = pack_pair<Element>(values[2 * i], values[2 * i + 1]);
}

template <typename T>
__device__ bool are_eights_aligned(GLOBAL(const T) matrix, long long stride, int width) { return IS_ALIGNED(matrix, 16) && stride % Eight == 0 && width % Eight == 0; }

// Forward: a warp has 64 columns of y, and all of the inner sum. Stride of a row of S in shared memory: the padding has a warp's reads fall on 32 banks, where there is room for it.
constexpr int ColumnsOfWarp = TensorColumns / Warps, TilesOfWarp = ColumnsOfWarp / 16, ScratchOfSums = RowTile * Lanes * lane_stride(Threads / RowTile);
constexpr int SumStride = PaddedShards + (ScratchOfSums * 4 + TensorRows * (PaddedShards + 8) * 2 <= 48 * 1024 ? 8 : 2);

// What a thread has of 64 columns of D for 16 shards of the inner sum, as it comes: nothing waits for it before it is packed.
__device__ inline void load_shards(
    GLOBAL(const float) shard, long long shard_stride, int width, int column, int end, bool aligned, int step, float (&values)[4][Eight])
{
#pragma unroll
    for (int i = 0; i < 4; i++)
    {
        const int j = step * 16 + i / 2 * 8 + threadIdx.x % 4 * 2 + i % 2;
        if (j < ShardSize)
        {
            load_eight<float>(shard + j * shard_stride, width, column, end, aligned, values[i]);
            continue;
        }
#pragma unroll
        for (int c = 0; c < Eight; c++) values[i][c] = 0;
    }
}

// The fragments of these: tile t has the columns 8 group + 2 t and the one behind it.
__device__ inline void pack_shards(const float (&values)[4][Eight], unsigned int (&tiles)[TilesOfWarp][4])
{
#pragma unroll
    for (int tile = 0; tile < TilesOfWarp; tile++)
    {
#pragma unroll
        for (int i = 0; i < 4; i++) tiles[tile][i] = pack_pair<Element>(values[i / 2 * 2][2 * tile + i % 2], values[i / 2 * 2 + 1][2 * tile + i % 2]);
    }
}

// y += S D, or y = S D without `adds`, for eight rows and 512 columns a block; rows along the grid's x, columns along its y. S, rounded, stays in shared memory; the blocks of the first columns write it
// to sum in float32 too, where a backward pass will want it.
extern "C" __global__ void __launch_bounds__(Threads, 2) forward_few_rounded(
    GLOBAL(const Element) x, long long x_stride, GLOBAL(const float) shard, long long shard_stride, int width, GLOBAL(Element) y, long long y_stride, GLOBAL(float) sum, long long sum_stride,
    long long rows, int columns, int outputs, int adds)
{
    SHARED(float, scratch, ScratchOfSums);
    SHARED(Element, factors, TensorRows * SumStride);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4, quad = lane % 4;
    const int column = (blockIdx.y * Warps + warp) * ColumnsOfWarp + group * Eight;
    const long long first_row = (long long)blockIdx.x * TensorRows;
    const bool shard_aligned = are_eights_aligned<float>(shard, shard_stride, width), y_aligned = are_eights_aligned<Element>(y, y_stride, Eight);

    // What does not depend on the sums is asked for before them.
    float factors_ahead[4][Eight];
    load_shards(shard, shard_stride, width, column, outputs, shard_aligned, 0, factors_ahead);
    unsigned int pairs[2][Eight / 2] = {};
#pragma unroll
    for (int i = 0; i < 2; i++)
    {
        const long long row = first_row + quad * 2 + i;
        if (adds && row < rows) load_pairs(y + row * y_stride, outputs, column, outputs, y_aligned, pairs[i]);
    }

    constexpr int threads = Threads / RowTile;
    const int thread = threadIdx.x % threads;
    POINTER(float) own = scratch + threadIdx.x / threads * Lanes * lane_stride(threads);
#pragma unroll 1
    for (int first = 0; first < TensorRows; first += RowTile)
    {
        const int tile_row = first + threadIdx.x / threads;
        const long long row = first_row + tile_row;
        const bool has_row = row < rows;
        GLOBAL(const Element) from = x + row * x_stride;
        sum_vectors<VectorsOfFewRows>(from, 0, has_row ? columns / Lanes : 0, own, threads, thread);
        for (int j = thread; j < PaddedShards; j += threads)
        {
            const float total = has_row && j < ShardSize ? sum_of_shard(from, columns, true, own, threads, j) : 0;
            Element factor;
            round_to(factor, total);
            factors[tile_row * SumStride + j] = factor;
            if (sum && has_row && j < ShardSize && blockIdx.y == 0) sum[row * sum_stride + j] = total;
        }
        __syncthreads();
    }

    float totals[TilesOfWarp][4] = {};
#pragma unroll 1
    for (int step = 0; step < ShardTiles; step++)
    {
        unsigned int tiles[TilesOfWarp][4], b[2];
        pack_shards(factors_ahead, tiles);
        if (step + 1 < ShardTiles) load_shards(shard, shard_stride, width, column, outputs, shard_aligned, step + 1, factors_ahead);
#pragma unroll
        for (int half = 0; half < 2; half++) b[half] = CONST_WORDS_AT(unsigned int, factors + (group * SumStride + step * 16 + half * 8 + quad * 2));
#pragma unroll
        for (int tile = 0; tile < TilesOfWarp; tile++) multiply_tile(totals[tile], tiles[tile], b, Element());
    }

#pragma unroll
    for (int i = 0; i < 2; i++)
    {
        const long long row = first_row + quad * 2 + i;
        if (row >= rows) continue;
        float values[Eight];
        Neighbours<Eight, true, Element>::to_floats(pairs[i], values);
#pragma unroll
        for (int c = 0; c < Eight; c++) values[c] += totals[c / 2][c % 2 * 2 + i];
        GLOBAL(Element) to = y + row * y_stride + column;
        if (y_aligned && column + Eight <= outputs)
        {
            Neighbours<Eight, true, Element>::store(to, values);
            continue;
        }
#pragma unroll
        for (int c = 0; c < Eight; c++)
        {
            Element element;
            round_to(element, values[c]);
            if (column + c < outputs) to[c] = element;
        }
    }
}

// Backward: dS of eight rows from 256 columns of dy, and dD of 16 shards and 64 columns.
__host__ __device__ constexpr int power_of_two_up_to(int most) { return most >= 8 ? 8 : most >= 4 ? 4 : most >= 2 ? 2 : 1; }
constexpr int WarpsDown = power_of_two_up_to(ShardTiles), WarpsAcross = Warps / WarpsDown, ChunksOfWarp = TensorPart / 32 / WarpsAcross;
// Both halves of a fragment of D are asked for before the first is packed, where a warp has no other chunk whose registers it would need.
constexpr int HalvesAtOnce = ChunksOfWarp == 1 ? 2 : 1;
constexpr int PartStride = PaddedShards + 4, FloatsOfInputGradient = larger(WarpsAcross * TensorRows * PartStride, RowTile * ShardSize);
constexpr int RowStride = MostRows + 8, GradientStride = TensorGradient + 4, FloatsOfShardGradient = Warps * TensorShards * GradientStride;

// dS = dy Dᵀ for eight rows, and dx += tile(dS). Each of `parts` blocks takes 256 columns of dy and leaves its sums in scratch (parts, rows, ShardSize); the last of them goes on with these. The warps
// share out shards, and, where these are few, columns.
__device__ inline void rounded_input_gradient(
    GLOBAL(const Element) dy, long long dy_stride, GLOBAL(const float) shard, long long shard_stride, int width, GLOBAL(Element) dx, long long dx_stride, long long rows, int columns, int outputs,
    bool adds, GLOBAL(float) scratch, GLOBAL(unsigned int) counters, unsigned int tile, unsigned int part, unsigned int parts, POINTER(float) shared)
{
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4, quad = lane % 4, across = warp / WarpsDown;
    const int first_column = part * TensorPart + across * ChunksOfWarp * 32 + quad * Eight;
    const long long first_row = (long long)tile * TensorRows, row = first_row + group;
    const bool shard_aligned = are_eights_aligned<float>(shard, shard_stride, width), dy_aligned = are_eights_aligned<Element>(dy, dy_stride, Eight);
    unsigned int right[ChunksOfWarp][4] = {};
#pragma unroll
    for (int chunk = 0; chunk < ChunksOfWarp; chunk++)
    {
        if (row < rows) load_pairs(dy + row * dy_stride, outputs, first_column + chunk * 32, outputs, dy_aligned, right[chunk]);
    }

#pragma unroll 1
    for (int shards = warp % WarpsDown; shards < ShardTiles; shards += WarpsDown)
    {
        float totals[4] = {};
#pragma unroll
        for (int chunk = 0; chunk < ChunksOfWarp; chunk++)
        {
            unsigned int left[2][4];
#pragma unroll
            for (int half = 0; half < 2; half += HalvesAtOnce)
            {
                float values[HalvesAtOnce][Eight] = {};
#pragma unroll
                for (int i = 0; i < HalvesAtOnce; i++)
                {
                    const int j = shards * 16 + (half + i) * 8 + group;
                    if (j < ShardSize) load_eight<float>(shard + j * shard_stride, width, first_column + chunk * 32, outputs, shard_aligned, values[i]);
                }
#pragma unroll
                for (int i = 0; i < HalvesAtOnce * 4; i++) left[half + i / 4][i % 4] = pack_pair<Element>(values[i / 4][i % 4 * 2], values[i / 4][i % 4 * 2 + 1]);
            }
#pragma unroll
            for (int half = 0; half < 2; half++)
            {
                const unsigned int a[4] = {left[0][2 * half], left[1][2 * half], left[0][2 * half + 1], left[1][2 * half + 1]}, b[2] = {right[chunk][2 * half], right[chunk][2 * half + 1]};
                multiply_tile(totals, a, b, Element());
            }
        }
#pragma unroll
        for (int i = 0; i < 4; i++) shared[(across * TensorRows + quad * 2 + i % 2) * PartStride + shards * 16 + i / 2 * 8 + group] = totals[i];
    }
    __syncthreads();

    for (int item = threadIdx.x; item < TensorRows * ShardSize; item += Threads)
    {
        const int tile_row = item / ShardSize, j = item % ShardSize;
        if (first_row + tile_row >= rows) break;
        float total = 0;
#pragma unroll
        for (int i = 0; i < WarpsAcross; i++) total += shared[(i * TensorRows + tile_row) * PartStride + j];
        scratch[(part * rows + first_row) * ShardSize + item] = total;
    }

    if (!is_last_block(counters + tile, parts)) return;
#pragma unroll 1
    for (int first = 0; first < TensorRows && first_row + first < rows; first += RowTile) add_tiled_parts(scratch, parts, dx, dx_stride, first_row + first, rows, columns, adds, shared);
}

// dD = Sᵀ dy, 16 shards and 64 columns of it; where D stands for its tiling, the sum over the tiles. The warps share out the rows, 16 at a time, and the tiles.
__device__ inline void rounded_shard_gradient(
    GLOBAL(const Element) dy, long long dy_stride, GLOBAL(const float) sum, long long sum_stride, GLOBAL(float) gradient, long long gradient_stride, int width, int rows, int outputs,
    unsigned int tile, POINTER(float) shared)
{
    SHARED(Element, factors, TensorShards * RowStride);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4, quad = lane % 4, first_shard = tile % ShardTiles * TensorShards, first_column = tile / ShardTiles * TensorGradient, column = first_column + group * Eight;
    const int steps = (rows + 15) / 16, units = outputs / width * steps;
    const bool dy_aligned = are_eights_aligned<Element>(dy, dy_stride, width);
    // S transposed and rounded.
    for (int item = threadIdx.x; item < steps * 16 * TensorShards; item += Threads)
    {
        const int row = item / TensorShards, j = item % TensorShards;
        Element factor;
        round_to(factor, row < rows && first_shard + j < ShardSize ? sum[row * sum_stride + first_shard + j] : 0);
        factors[j * RowStride + row] = factor;
    }
    __syncthreads();

    float totals[Eight][4] = {};
#pragma unroll 1
    for (int unit = warp; unit < units; unit += Warps)
    {
        const int step = unit % steps;
        GLOBAL(const Element) from = dy + unit / steps * width;
        unsigned int a[4], pairs[4][4] = {};
#pragma unroll
        for (int i = 0; i < 4; i++)
        {
            const int row = step * 16 + i / 2 * 8 + quad * 2 + i % 2;
            if (row < rows) load_pairs(from + row * dy_stride, width, column, width, dy_aligned, pairs[i]);
            a[i] = CONST_WORDS_AT(unsigned int, factors + ((group + i % 2 * 8) * RowStride + step * 16 + i / 2 * 8 + quad * 2));
        }
        // Tile t has the columns 8 n + t; its pairs are of two rows.
#pragma unroll
        for (int t = 0; t < Eight; t++)
        {
            unsigned int b[2];
#pragma unroll
            for (int half = 0; half < 2; half++)
            {
                const unsigned int low = pairs[2 * half][t / 2], high = pairs[2 * half + 1][t / 2];
                b[half] = t % 2 == 0 ? (low & 0xffffu) | (high << 16) : (low >> 16) | (high & 0xffff0000u);
            }
            multiply_tile(totals[t], a, b, Element());
        }
    }

#pragma unroll
    for (int t = 0; t < Eight; t++)
    {
#pragma unroll
        for (int i = 0; i < 4; i++) shared[(warp * TensorShards + i / 2 * 8 + group) * GradientStride + (quad * 2 + i % 2) * Eight + t] = totals[t][i];
    }
    __syncthreads();
    const int parts = least(units, Warps);
    for (int item = threadIdx.x; item < TensorShards * TensorGradient; item += Threads)
    {
        const int j = item / TensorGradient, c = item % TensorGradient;
        if (first_shard + j >= ShardSize || first_column + c >= width) continue;
        float total = 0;
        for (int part = 0; part < parts; part++) total += shared[(part * TensorShards + j) * GradientStride + c];
        gradient[(first_shard + j) * gradient_stride + first_column + c] = total;
    }
}

// Both gradients of y += S D in one launch, as backward_few_rows makes them.
extern "C" __global__ void __launch_bounds__(Threads, 2) backward_few_rounded(
    GLOBAL(const Element) dy, long long dy_stride, GLOBAL(const float) shard, long long shard_stride, int width, GLOBAL(const float) sum, long long sum_stride, GLOBAL(Element) dx, long long dx_stride,
    GLOBAL(float) gradient, long long gradient_stride, long long rows, int columns, int outputs, int adds, GLOBAL(float) scratch, GLOBAL(unsigned int) counters)
{
    SHARED(float, shared, larger(FloatsOfInputGradient, FloatsOfShardGradient));
    const unsigned int parts = (outputs + TensorPart - 1) / TensorPart, blocks = dx ? (unsigned int)((rows + TensorRows - 1) / TensorRows) * parts : 0;
    if (blockIdx.x < blocks)
        rounded_input_gradient(dy, dy_stride, shard, shard_stride, width, dx, dx_stride, rows, columns, outputs, adds, scratch, counters, blockIdx.x / parts, blockIdx.x % parts, parts, shared);
    else
        rounded_shard_gradient(dy, dy_stride, sum, sum_stride, gradient, gradient_stride, width, (int)rows, outputs, blockIdx.x - blocks, shared);
}
