
// A row's vectors of 16 bytes fall on the same shards again after Period of them, so a thread that goes on by a multiple of Period keeps its sums in registers. How many vectors a group of threads
// takes side by side: whole periods, at least one.
__host__ __device__ constexpr int side_by_side(int threads) { return threads < Period ? Period : threads / Period * Period; }
// From the sums of a lane to those of the next one in shared memory: with the padding neighbours of a period fall on 32 banks.
__host__ __device__ constexpr int lane_stride(int threads) { return side_by_side(threads) + (side_by_side(threads) % 32 == 0 ? 32 / Lanes : 0); }
// How many loads a thread has under way: more where rows, and so threads, are few.
constexpr int VectorsAtOnce = 4, VectorsOfFewRows = 8;

__host__ __device__ constexpr int larger(int left, int right) { return left > right ? left : right; }
__device__ inline int least(long long left, int right) { return left < right ? (int)left : right; }

using Vector = Neighbours<Lanes, true, Element>;

// The Count aligned vectors from `vector` on, `step` apart, all asked for at once; those behind the end count as zero.
template <int Count>
__device__ void fetch_vectors(GLOBAL(const Element) row, int vector, int end, int step, unsigned int (&words)[Count][Vector::WordCount])
{
#pragma unroll
    for (int i = 0; i < Count; i++)
    {
#pragma unroll
        for (int word = 0; word < Vector::WordCount; word++) words[i][word] = 0;
        if (vector + i * step < end) Vector::fetch(row + (long long)(vector + i * step) * Lanes, words[i]);
    }
}

// sums += the vectors first, first + step, … of a row, Count of them at once where they are aligned.
template <int Count>
__device__ void add_up(GLOBAL(const Element) row, int first, int end, int step, bool aligned, float (&sums)[Lanes])
{
    int vector = first;
#pragma unroll 1
    for (; aligned && vector < end; vector += Count * step)
    {
        unsigned int words[Count][Vector::WordCount];
        fetch_vectors<Count>(row, vector, end, step, words);
#pragma unroll
        for (int i = 0; i < Count; i++)
        {
            float values[Lanes];
            Vector::to_floats(words[i], values);
#pragma unroll
            for (int lane = 0; lane < Lanes; lane++) sums[lane] += values[lane];
        }
    }
#pragma unroll 1
    for (; vector < end; vector += step)
    {
        float values[Lanes];
        Neighbours<Lanes, false, Element>::load(row + (long long)vector * Lanes, values);
#pragma unroll
        for (int lane = 0; lane < Lanes; lane++) sums[lane] += values[lane];
    }
}

// The sums of the vectors first … end of a row by a group of threads; first is a multiple of Period. Every thread of the block comes here, those without a row with end = first. Behind it partial
// has the sums of one period, that of a vector's lane at partial[lane * lane_stride(threads) + vector].
template <int Count>
__device__ void sum_vectors(GLOBAL(const Element) row, int first, int end, POINTER(float) partial, int threads, int thread)
{
    const int slots = side_by_side(threads), stride = lane_stride(threads);
    const bool aligned = IS_ALIGNED(row, 16);
    for (int slot = thread; slot < slots; slot += threads)
    {
        float sums[Lanes] = {};
        add_up<Count>(row, first + slot, end, slots, aligned, sums);
#pragma unroll
        for (int lane = 0; lane < Lanes; lane++) partial[lane * stride + slot] = sums[lane];
    }

    // Periods side by side are added up, half of them to the other half.
    for (int periods = slots / Period; periods > 1;)
    {
        const int half = (periods + 1) / 2;
        __syncthreads();
        for (int slot = thread; slot < (periods - half) * Period; slot += threads)
        {
#pragma unroll
            for (int lane = 0; lane < Lanes; lane++) partial[lane * stride + slot] += partial[lane * stride + slot + half * Period];
        }
        periods = half;
    }
    __syncthreads();
}

// S[shard] of a row, from the sums of one period and, for the last of the blocks that share a row, the columns behind its last whole vector.
__device__ inline float sum_of_shard(GLOBAL(const Element) row, int columns, bool with_tail, POINTER(const float) partial, int threads, int shard)
{
    const int stride = lane_stride(threads);
    float total = 0;
#pragma unroll
    for (int column = shard; column < Period * Lanes; column += ShardSize) total += partial[column % Lanes * stride + column / Lanes];
    if (with_tail)
    {
        for (int column = columns / Lanes * Lanes; column < columns; column++)
        {
            if (column % ShardSize == shard) total += to_float(row[column]);
        }
    }
    return total;
}

// What is added to the columns of a shard; where `rounds`, it is rounded to the element type, as a tensor of that type would be.
__device__ inline float addend_of(POINTER(const float) gradient, int shard, bool rounds) { return rounds ? rounded<Element>(gradient[shard]) : gradient[shard]; }

// The same for the columns of a vector: four at a time where that is one access, all asked for before the first is rounded.
__device__ inline void load_addends(POINTER(const float) gradient, int vector, bool rounds, float (&addends)[Lanes])
{
    if (ShardSize % 4 == 0 && IS_ALIGNED(gradient, 16))
    {
        float four[Lanes / 4][4];
#pragma unroll
        for (int i = 0; i < Lanes / 4; i++) Neighbours<4, true, float>::load(gradient + (vector * Lanes + i * 4) % ShardSize, four[i]);
#pragma unroll
        for (int lane = 0; lane < Lanes; lane++) addends[lane] = four[lane / 4][lane % 4];
    }
    else
    {
#pragma unroll
        for (int lane = 0; lane < Lanes; lane++) addends[lane] = gradient[(vector * Lanes + lane) % ShardSize];
    }
#pragma unroll
    for (int lane = 0; lane < Lanes; lane++) addends[lane] = rounds ? rounded<Element>(addends[lane]) : addends[lane];
}

// row += addends for Count aligned vectors: all are asked for before the first is stored.
template <int Count>
__device__ inline void add_to_vectors(GLOBAL(Element) row, int vector, int end, int step, bool adds, const float (&addends)[Lanes])
{
    unsigned int words[Count][Vector::WordCount];
    fetch_vectors<Count>(row, vector, adds ? end : vector, step, words);
#pragma unroll
    for (int i = 0; i < Count; i++)
    {
        if (vector + i * step >= end) return;
        float values[Lanes];
        Vector::to_floats(words[i], values);
#pragma unroll
        for (int lane = 0; lane < Lanes; lane++) values[lane] += addends[lane];
        Vector::store(row + (long long)(vector + i * step) * Lanes, values);
    }
}

// row[c] += gradient[c mod ShardSize] for the vectors first … end of a row, each element rounded once; first is a multiple of Period. Without `adds` what was there is not read.
template <int Count>
__device__ void add_tiled_vectors(GLOBAL(Element) row, int first, int end, POINTER(const float) gradient, int threads, int thread, bool rounds, bool adds)
{
    const int slots = side_by_side(threads);
    const bool aligned = IS_ALIGNED(row, 16);
    for (int slot = thread; slot < slots; slot += threads)
    {
        float addends[Lanes];
        load_addends(gradient, slot, rounds, addends);
        int vector = first + slot;
#pragma unroll 1
        for (; aligned && vector < end; vector += Count * slots) add_to_vectors<Count>(row, vector, end, slots, adds, addends);
#pragma unroll 1
        for (; vector < end; vector += slots)
        {
            float values[Lanes] = {};
            if (adds) Neighbours<Lanes, false, Element>::load(row + (long long)vector * Lanes, values);
#pragma unroll
            for (int lane = 0; lane < Lanes; lane++) values[lane] += addends[lane];
            Neighbours<Lanes, false, Element>::store(row + (long long)vector * Lanes, values);
        }
    }
}

// The same for the columns behind the last whole vector.
__device__ inline void add_tiled_tail(GLOBAL(Element) row, int columns, POINTER(const float) gradient, int threads, int thread, bool rounds, bool adds)
{
    for (int column = columns / Lanes * Lanes + thread; column < columns; column += threads)
    {
        Element element;
        round_to(element, (adds ? to_float(row[column]) : 0) + addend_of(gradient, column % ShardSize, rounds));
        row[column] = element;
    }
}

// sum[n, j] = Σ_i x[n, i * ShardSize + j]; a last, shorter chunk counts as zero-padded. A block has blockDim.y rows and blockDim.x threads for each, at
// least Period where that is possible; the rows lie along the grid's x. Where rows are
// few, gridDim.y blocks share them, vectors_of_block vectors each: their sums go to parts (gridDim.y, rows, ShardSize), and the last block adds them up in their order.
template <typename Sum>
__device__ void sum_rows(
    GLOBAL(const Element) x, long long x_stride, GLOBAL(Sum) sum, long long sum_stride, long long rows, int columns, int vectors_of_block, GLOBAL(float) parts, GLOBAL(unsigned int) counters)
{
    SHARED(float, partial, Lanes * larger(Threads, Period) + Threads);
    const int threads = blockDim.x, thread = threadIdx.x;
    const long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    const bool has_row = row < rows, is_split = gridDim.y > 1;
    const int vectors = has_row ? columns / Lanes : 0, first = least((long long)blockIdx.y * vectors_of_block, vectors), end = least((long long)first + vectors_of_block, vectors);
    GLOBAL(const Element) from = x + row * x_stride;
    POINTER(float) own = partial + threadIdx.y * Lanes * lane_stride(threads);

    sum_vectors<VectorsAtOnce>(from, first, end, own, threads, thread);
    if (has_row)
    {
        for (int shard = thread; shard < ShardSize; shard += threads)
        {
            const float total = sum_of_shard(from, columns, blockIdx.y == gridDim.y - 1, own, threads, shard);
            if (is_split)
            {
                parts[(blockIdx.y * rows + row) * ShardSize + shard] = total;
                continue;
            }
            Sum element;
            round_to(element, total);
            sum[row * sum_stride + shard] = element;
        }
    }

    if (!is_split || !is_last_block(counters + blockIdx.x, gridDim.y) || !has_row) return;
    for (int shard = thread; shard < ShardSize; shard += threads)
    {
        float total = 0;
        for (unsigned int part = 0; part < gridDim.y; part++) total += LOAD_OF_OTHER_BLOCK(float, parts + ((part * rows + row) * ShardSize + shard));
        Sum element;
        round_to(element, total);
        sum[row * sum_stride + shard] = element;
    }
}

// S in float32.
extern "C" __global__ void __launch_bounds__(Threads, 4) shard_sum(
    GLOBAL(const Element) x, long long x_stride, GLOBAL(float) sum, long long sum_stride, long long rows, int columns, int vectors_of_block, GLOBAL(float) parts, GLOBAL(unsigned int) counters)
{
    sum_rows<float>(x, x_stride, sum, sum_stride, rows, columns, vectors_of_block, parts, counters);
}

// S rounded to the element type, for a product of elements of that type.
extern "C" __global__ void __launch_bounds__(Threads, 4) shard_sum_rounded(
    GLOBAL(const Element) x, long long x_stride, GLOBAL(Element) sum, long long sum_stride, long long rows, int columns, int vectors_of_block, GLOBAL(float) parts, GLOBAL(unsigned int) counters)
{
    sum_rows<Element>(x, x_stride, sum, sum_stride, rows, columns, vectors_of_block, parts, counters);
}

// x[n, c] += gradient[n, c mod ShardSize], rounded once; without `adds` what was there is not read. Rows and threads as above; gridDim.y blocks share a row, vectors_of_block vectors each.
extern "C" __global__ void __launch_bounds__(Threads, 4) add_tiled(
    GLOBAL(const float) gradient, long long gradient_stride, GLOBAL(Element) x, long long x_stride, long long rows, int columns, int rounds, int adds, int vectors_of_block)
{
    const long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    const int vectors = columns / Lanes, first = least((long long)blockIdx.y * vectors_of_block, vectors), end = least((long long)first + vectors_of_block, vectors);
    add_tiled_vectors<VectorsAtOnce>(x + row * x_stride, first, end, gradient + row * gradient_stride, blockDim.x, threadIdx.x, rounds, adds);
    if (blockIdx.y == gridDim.y - 1) add_tiled_tail(x + row * x_stride, columns, gradient + row * gradient_stride, blockDim.x, threadIdx.x, rounds, adds);
}
