
// Codes whose scales lie elsewhere, a float32 for each block.

// bitsandbytes' four bits, the first of two in the high half of a byte, that stand for sixteen values.
struct FourBits
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        const unsigned int codes = CONST_WORDS_AT(unsigned int, weight.codes + (row * weight.row_bytes + column / 2));
        const float scale = weight.scale_of(row, column, 16);
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fmul_rn(weight.scales[codes >> (i / 2 * 8 + (1 - i % 2) * 4) & 15u], scale);
    }
};

// Numbers of eight bits, each made a float by Format::number.
template <typename Format>
struct EightBits
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        const Bytes<8> codes(weight.codes + (row * weight.row_bytes + column));
        const float scale = weight.scale_of(row, column, 0);
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fmul_rn(Format::number(codes.at(i)), scale);
    }
};

struct Int8 : EightBits<Int8>
{
    __device__ static float number(int byte) { return (float)(signed char)byte; }
};

// Sign, four bits of exponent, three of mantissa; no infinity, and all ones is no number.
struct Float8E4M3 : EightBits<Float8E4M3>
{
    __device__ static float number(int byte)
    {
        const unsigned int bits = byte & 0x7f, normal = bits == 0x7f ? 0x7fc00000u : (bits << 20) + (120u << 23);
        const float magnitude = bits < 8 ? (float)bits * __uint_as_float(118u << 23) : __uint_as_float(normal);
        return byte & 0x80 ? -magnitude : magnitude;
    }
};

// The upper half of a float16.
struct Float8E5M2 : EightBits<Float8E5M2>
{
    __device__ static float number(int byte) { return to_float(float16{(unsigned short)(byte << 8)}); }
};
