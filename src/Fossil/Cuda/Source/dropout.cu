
// A number for an element of a row: two rounds of a mixing function of 32 bits, each with a half of the row's key, as on the host.
__device__ inline unsigned int number_of(unsigned int element, unsigned int first, unsigned int second)
{
    unsigned int x = element ^ first;
    x = (x ^ (x >> 16)) * 0x21f0aaadu;
    x = (x ^ (x >> 15)) * 0x735a2d97u;
    x = (x ^ (x >> 15)) + second;
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return x ^ (x >> 16);
}

// mask: count bytes, row by row; rows: for each both halves of its key and the number of its first element. A thread takes four neighbours, which are one word where the mask allows it.
extern "C" __global__ void __launch_bounds__(Threads, 4) dropout_mask(GLOBAL(unsigned char) mask, GLOBAL(const unsigned int) rows, long long count, long long columns, unsigned int threshold)
{
    for (long long at = ((long long)blockIdx.x * Threads + threadIdx.x) * 4; at < count; at += (long long)gridDim.x * Threads * 4)
    {
        long long row = at / columns, column = at - row * columns;
        unsigned int word = 0;
        const int taken = count - at < 4 ? (int)(count - at) : 4;
        for (int i = 0; i < taken; i++)
        {
            const unsigned int is_kept = number_of(rows[row * 3 + 2] + (unsigned int)column, rows[row * 3], rows[row * 3 + 1]) >= threshold;
            word |= is_kept << (8 * i);
            if (++column == columns)
            {
                column = 0;
                row++;
            }
        }

        if (taken == 4 && IS_ALIGNED(mask, 4)) WORDS_AT(unsigned int, mask + at) = word;
        else
        {
            for (int i = 0; i < taken; i++) mask[at + i] = (unsigned char)(word >> (8 * i));
        }
    }
}
