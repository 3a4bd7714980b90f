
// GGUF's blocks of 256 elements in groups of 16 or 32, whose scales (and minimums) are quantised themselves.

// Two bits of each element: of each half the lowest of 32 bytes, then the next, and so on.
__device__ inline Bytes<4> pairs_of(POINTER(const unsigned char) quants, int element) { return Bytes<4>(quants + (element / 128 * 32 + element % 32)); }
__device__ inline Bytes<2> loose_pairs_of(POINTER(const unsigned char) quants, int element) { return Bytes<2>(quants + (element / 128 * 32 + element % 32)); }
__device__ inline int shift_of_pair(int element) { return element % 128 / 32 * 2; }

struct Q2_K : Blocks<256, 84>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const int element = column % 256, packed = block[element / 16], shift = shift_of_pair(element);
        const Bytes<4> codes = pairs_of(block + 16, element);
        const float scale = __fmul_rn(half_at(block + 80), (float)(packed & 15)), minimum = __fmul_rn(half_at(block + 82), (float)(packed >> 4));
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fadd_rn(__fmul_rn((float)codes.bits_at(i, shift, 2), scale), -minimum);
    }
};

// The third bits: that of group g of 32 is bit g of 32 bytes. Sixteen scales of six bits: the low four in the halves of eight bytes, the high two in four bytes more.
struct Q3_K : Blocks<256, 110>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const int element = column % 256, group = element / 16, shift = shift_of_pair(element);
        const Bytes<2> codes = loose_pairs_of(block + 32, element), third(block + element % 32);
        const int six = (block[96 + group % 8] >> group / 8 * 4 & 15) | (block[104 + group % 4] >> group / 4 * 2 & 3) << 4;
        const float scale = __fmul_rn(half_at(block + 108), (float)(six - 32));
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fmul_rn((float)((codes.bits_at(i, shift, 2) | third.bits_at(i, element / 32, 1) << 2) - 4), scale);
    }
};

// Eight scales and eight minimums of six bits in twelve bytes, behind a scale and a minimum.
struct SixBits
{
    float scale, minimum;

    __device__ SixBits(POINTER(const unsigned char) block, int group)
    {
        POINTER(const unsigned char) packed = block + 4;
        const int of_scale = group < 4 ? packed[group] & 63 : (packed[group + 4] & 15) | packed[group - 4] >> 6 << 4;
        const int of_minimum = group < 4 ? packed[group + 4] & 63 : packed[group + 4] >> 4 | packed[group] >> 6 << 4;
        scale = __fmul_rn(half_at(block), (float)of_scale);
        minimum = __fmul_rn(half_at(block + 2), (float)of_minimum);
    }
};

struct Q4_K : Blocks<256, 144>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const int element = column % 256, group = element / 32, shift = group % 2 * 4;
        const Bytes<8> codes(block + (16 + group / 2 * 32 + element % 32));
        const SixBits factors(block, group);
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fadd_rn(__fmul_rn((float)codes.bits_at(i, shift, 4), factors.scale), -factors.minimum);
    }
};

// The fifth bits: that of group g is bit g of 32 bytes.
struct Q5_K : Blocks<256, 176>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const int element = column % 256, group = element / 32, shift = group % 2 * 4;
        const Bytes<8> codes(block + (48 + group / 2 * 32 + element % 32)), fifth(block + (16 + element % 32));
        const SixBits factors(block, group);
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fadd_rn(__fmul_rn((float)(codes.bits_at(i, shift, 4) | fifth.bits_at(i, group, 1) << 4), factors.scale), -factors.minimum);
    }
};

// Of each half four runs of 32: the low halves of 64 bytes, then their high halves; and two bits more.
struct Q6_K : Blocks<256, 210>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const int element = column % 256, shift = element % 128 / 64 * 4, high_shift = shift_of_pair(element);
        const Bytes<2> low(block + (element / 128 * 64 + element % 64)), high = loose_pairs_of(block + 128, element);
        const float scale = __fmul_rn(half_at(block + 208), (float)(signed char)block[192 + element / 16]);
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fmul_rn((float)((low.bits_at(i, shift, 4) | high.bits_at(i, high_shift, 2) << 4) - 32), scale);
    }
};

struct IQ4_XS : Blocks<256, 136>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const int element = column % 256, group = element / 32, shift = element % 32 / 16 * 4;
        const Bytes<8> codes(block + (8 + group * 16 + element % 16));
        const int six = (block[4 + group / 2] >> group % 2 * 4 & 15) | (int)(two_bytes(block + 2) >> group * 2 & 3) << 4;
        const float scale = __fmul_rn(half_at(block), (float)(six - 32));
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fmul_rn((float)non_linear(codes.bits_at(i, shift, 4)), scale);
    }
};

// -1, 0 and 1.
struct TQ2_0 : Blocks<256, 66>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const int element = column % 256, shift = shift_of_pair(element);
        const Bytes<2> codes = loose_pairs_of(block, element);
        const float scale = half_at(block + 64);
#pragma unroll
        for (int i = 0; i < Eight; i++) values[i] = __fmul_rn((float)(codes.bits_at(i, shift, 2) - 1), scale);
    }
};

// A byte is a fraction in base 3, its first digit that of the first run of elements: five runs of 32 bytes, five of 16, and four of 4.
struct TQ1_0 : Blocks<256, 54>
{
    __device__ static void decode(const Encoded &weight, long long row, int column, float (&values)[Eight])
    {
        POINTER(const unsigned char) block = block_of(weight, row, column);
        const float scale = half_at(block + 52);
        // Eight neighbours are of one run, or, in the runs of four, of two.
        const int element = column % 256, behind = element < 160 ? 0 : element < 240 ? 160 : 240, run = element < 160 ? 32 : element < 240 ? 16 : 4;
        const int digit = (element - behind) / run;
        const Bytes<2> codes(block + (run == 4 ? 44 : (element < 160 ? 0 : 32) + (element - behind) % run));
#pragma unroll
        for (int i = 0; i < Eight; i++)
        {
            // 1, 3, 9, 27, 81.
            const int power = (int)(0x511b090301ull >> (run == 4 ? digit + i / 4 : digit) * 8 & 0xff), quant = run == 4 ? codes.at(4 + i % 4) : codes.at(i);
            values[i] = __fmul_rn((float)(((quant * power & 0xff) * 3 >> 8) - 1), scale);
        }
    }
};
