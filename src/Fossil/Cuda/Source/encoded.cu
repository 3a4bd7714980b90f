
// Weights that are held as blocks or codes. A format is a struct with decode, which makes eight neighbours of a row, from a multiple of eight on, the numbers that they stand for: each operation rounds
// on its own, in the order of the host's, so the numbers are the host's bit for bit.
constexpr int Eight = 8, Warps = Threads / 32;

// The bytes of a weight row by row, and, where scales are not among them, those: one for each block of rows and columns, behind the values of the codes where a format has such.
struct Encoded
{
    POINTER(const unsigned char) codes;
    long long row_bytes;
    POINTER(const float) scales;
    long long block_rows;
    int scale_columns, block_columns;

    __device__ float scale_of(long long row, int column, int before) const { return scales[before + row / block_rows * scale_columns + column / block_columns]; }
};

// Where a row lies: of each head_rows of them the halves are interleaved; 0 where rows lie in their order.
__device__ inline long long row_in_file(long long row, long long head_rows)
{
    if (head_rows == 0) return row;
    const long long in_head = row % head_rows, half = head_rows / 2;
    return row - in_head + 2 * (in_head % half) + in_head / half;
}

__device__ inline unsigned int two_bytes(POINTER(const unsigned char) from) { return CONST_WORDS_AT(unsigned short, from); }
__device__ inline float half_at(POINTER(const unsigned char) from) { return to_float(float16{CONST_WORDS_AT(unsigned short, from)}); }

// Eight bytes; the address is a multiple of Alignment.
template <int Alignment>
struct Bytes
{
    unsigned int words[2];

    __device__ explicit Bytes(POINTER(const unsigned char) from)
    {
        if constexpr (Alignment >= 8)
        {
            const uint2 all = CONST_WORDS_AT(uint2, from);
            words[0] = all.x; words[1] = all.y;
        }
        else
        {
#pragma unroll
            for (int word = 0; word < 2; word++)
            {
                if constexpr (Alignment == 4) words[word] = CONST_WORDS_AT(unsigned int, from + word * 4);
                else words[word] = two_bytes(from + word * 4) | two_bytes(from + (word * 4 + 2)) << 16;
            }
        }
    }

    __device__ int at(int i) const { return (int)(words[i / 4] >> i % 4 * 8 & 0xffu); }
    __device__ int signed_at(int i) const { return (int)(words[i / 4] << (24 - i % 4 * 8)) >> 24; }
    // `bits` of each byte, from `shift` on.
    __device__ int bits_at(int i, int shift, int bits) const { return at(i) >> shift & ((1 << bits) - 1); }
};

// A signed byte out of sixteen, four of them a word.
__device__ inline int look_up(unsigned int first, unsigned int second, unsigned int third, unsigned int fourth, int code)
{
    const unsigned int word = code < 8 ? code < 4 ? first : second : code < 12 ? third : fourth;
    return (int)(word << (24 - code % 4 * 8)) >> 24;
}

// The uneven steps of IQ4_NL and IQ4_XS, and twice the floats of four bits, which are whole.
__device__ inline int non_linear(int code) { return look_up(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u, code); }
__device__ inline int twice_float4(int code) { return look_up(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu, code); }
