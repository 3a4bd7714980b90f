
// The kernels of decoders: a row of a matrix is read by blockDim.x threads, and a block has blockDim.y rows. A thread has every blockDim.x-th vector of Lanes elements, 16 bytes each.
// VectorsKept of them, those of a row of usual length, it keeps in registers between two passes over the row; what is behind them is read again.
constexpr int Warps = Threads / 32;

__device__ inline int least(long long left, int right) { return left < right ? (int)left : right; }

// A row that this thread is on.
__device__ inline long long own_row() { return (long long)blockIdx.x * blockDim.y + threadIdx.y; }

// Whether a matrix without gaps has vectors alone, each at a multiple of 16 bytes.
template <typename T>
__device__ bool is_whole(POINTER(T) matrix, int columns) { return IS_ALIGNED(matrix, 16) && columns % Lanes == 0; }

// The Lanes elements from `column` on; `behind` stands for those behind the row's end. Whole says that a vector is either all of the row or none.
template <bool Whole>
__device__ void load_vector(POINTER(const Element) row, int column, int columns, float (&values)[Lanes], float behind = 0)
{
    if constexpr (Whole)
    {
        if (column < columns)
        {
            Neighbours<Lanes, true, Element>::load(row + column, values);
            return;
        }
#pragma unroll
        for (int i = 0; i < Lanes; i++) values[i] = behind;
    }
    else
    {
#pragma unroll
        for (int i = 0; i < Lanes; i++) values[i] = column + i < columns ? to_float(row[column + i]) : behind;
    }
}

// The same as words, which take no more registers than the row has bytes.
using Vector = Neighbours<Lanes, true, Element>;
using Words = unsigned int[Vector::WordCount];

template <bool Whole>
__device__ void load_words(POINTER(const Element) row, int column, int columns, Words &words)
{
    if constexpr (Whole)
    {
        if (column < columns)
        {
            Vector::fetch(row + column, words);
            return;
        }
    }
    float values[Lanes] = {};
    if constexpr (!Whole) load_vector<false>(row, column, columns, values);
#pragma unroll
    for (int word = 0; word < Vector::WordCount; word++) words[word] = pack(values + word * Vector::PerWord, Element());
}

__device__ inline void to_floats(const Words &words, float (&values)[Lanes]) { Vector::to_floats(words, values); }

// A vector, rounded and written; nothing behind the row's end.
template <bool Whole>
__device__ void store_vector(POINTER(Element) row, int column, int columns, const float (&values)[Lanes])
{
    if constexpr (Whole)
    {
        if (column < columns) Neighbours<Lanes, true, Element>::store(row + column, values);
    }
    else
    {
#pragma unroll
        for (int i = 0; i < Lanes; i++)
        {
            if (column + i >= columns) return;
            Element element;
            round_to(element, values[i]);
            row[column + i] = element;
        }
    }
}

// The sum over the threads of a row, the same for each of them. Every thread of the block comes here, once.
__device__ inline float sum_of_row(float value)
{
    SHARED(float, sums, Warps);
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
    if (blockDim.x == 32) return value;
    const int warps = blockDim.x / 32, first = threadIdx.y * warps;
    if (threadIdx.x % 32 == 0) sums[first + threadIdx.x / 32] = value;
    __syncthreads();
    float total = 0;
    for (int warp = 0; warp < warps; warp++) total += sums[first + warp];
    return total;
}
