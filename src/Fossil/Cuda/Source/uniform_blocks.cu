
// GGUF's blocks of one scale, and of one minimum where their names end in 1.
template <int BlockElements, int BlockBytes>
struct Blocks
{
    __device__ static POINTER(const unsigned char) block_of(const Encoded &weight, long long row, int column) { return weight.codes + (row * weight.row_bytes + (long long)(column / BlockElements) * BlockBytes); }
};

// 32 elements whose low four bits are those of 16 bytes: element i in the low half of byte i, element i + 16 in its high half.
template <int BlockBytes, int Quants, int Alignment>
struct Nibbles : Blocks<32, BlockBytes>
{
    Bytes<Alignment> bytes;
    int shift;

    __device__ Nibbles(POINTER(const unsigned char) block, int element) : bytes(block + (Quants + element % 16)), shift(element / 16 * 4) { }
    __device__ int at(int i) const { return bytes.bits_at(i, shift, 4); }
};

// A scale, and codes that stand for a whole number each.
template <int (*NumberOf)(int)>
struct ScaledNibbles : Nibbles<18, 2, 2>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const Nibbles codes(block, column % 32);
        const float scale = half_at(block);
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fmul_rn((float)NumberOf(codes.at(i)), scale);
    }
};

__device__ inline int less_eight(int code) { return code - 8; }

typedef ScaledNibbles<less_eight> Q4_0;
typedef ScaledNibbles<non_linear> IQ4_NL;

struct Q4_1 : Nibbles<20, 4, 4>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const Nibbles codes(block, column % 32);
        const float scale = half_at(block), minimum = half_at(block + 2);
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fadd_rn(__fmul_rn((float)codes.at(i), scale), minimum);
    }
};

// The fifth bits are 32 in a row.
struct Q5_0 : Nibbles<22, 6, 2>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const Nibbles codes(block, column % 32);
        const float scale = half_at(block);
        const unsigned int fifth = (two_bytes(block + 2) | two_bytes(block + 4) << 16) >> column % 32;
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fmul_rn((float)((codes.at(i) | (int)(fifth >> i & 1) << 4) - 16), scale);
    }
};

struct Q5_1 : Nibbles<24, 8, 8>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const Nibbles codes(block, column % 32);
        const float scale = half_at(block), minimum = half_at(block + 2);
        const unsigned int fifth = CONST_WORDS_AT(unsigned int, block + 4) >> column % 32;
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fadd_rn(__fmul_rn((float)(codes.at(i) | (int)(fifth >> i & 1) << 4), scale), minimum);
    }
};

struct Q8_0 : Blocks<32, 34>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const Bytes<2> codes(block + (2 + column % 32));
        const float scale = half_at(block);
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fmul_rn((float)codes.signed_at(i), scale);
    }
};

// Floats of four bits and a power of two, halved as the table has twice the floats; the lowest two exponents give subnormal numbers.
struct MXFP4 : Blocks<32, 17>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const unsigned int exponent = block[0];
        const float scale = __uint_as_float(exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23);
        const int at = 1 + column % 16, shift = column % 32 / 16 * 4;
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fmul_rn((float)twice_float4(block[at + i] >> shift & 15), scale);
    }
};

// Four groups of sixteen, each with a float of eight bits without a sign: four bits of exponent, three of mantissa; all ones stands for nothing.
struct NVFP4 : Blocks<64, 36>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const int group = column % 64 / 16, shift = column % 16 / 8 * 4;
        const unsigned int bits = block[group] & 0x7fu, exponent = bits >> 3;
        const Bytes<4> codes(block + (4 + group * 8));
        // Half of 2^(exponent - 7) (1 + mantissa / 8), or of mantissa 2^-9.
        const float scale = bits == 0x7f ? 0 : exponent == 0 ? (float)bits * __uint_as_float(117u << 23) : __uint_as_float((exponent + 119) << 23 | (bits & 7) << 20);
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fmul_rn((float)twice_float4(codes.bits_at(i, shift, 4)), scale);
    }
};
