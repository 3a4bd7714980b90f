using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;

namespace Fossil.Models.Gguf.Blocks;

/// <summary>
/// Writes blocks of codes out as bfloat16, bit for bit what rounding each dequantised number gives. Where a group has sixteen codes, what they stand for is rounded once and looked up for all of its 32
/// elements.
/// </summary>
internal abstract unsafe class RoundedBlocks
{
    /// <summary>Whether this processor has the instructions; elsewhere blocks are dequantised to floats, which are rounded.</summary>
    public static bool IsSupported => Avx512BW.IsSupported;

    /// <summary>Elements of a group.</summary>
    protected const int Group = 32;

    private const byte MostInTable = 15;

    /// <summary>Writes a whole number of blocks.</summary>
    /// <param name="source">The first block, at any address.</param>
    /// <param name="destination">Room for <paramref name="count"/> elements.</param>
    /// <param name="count">A multiple of a block's elements.</param>
    public abstract void Write(byte* source, ushort* destination, long count);

    /// <summary>A group whose halves have scales of their own.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected static void Write(Vector256<byte> codes, byte? zero, float lowScale, float lowMinimum, float highScale, float highMinimum, ushort* destination) =>
        High(Rounded(BlockCodes.Floats(codes.GetLower(), zero, lowScale, lowMinimum)), Rounded(BlockCodes.Floats(codes.GetUpper(), zero, highScale, highMinimum))).Store(destination);

    /// <summary>A group with one scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected static void Write(Vector256<byte> codes, byte largest, byte? zero, float scale, float minimum, ushort* destination)
    {
        if (largest > MostInTable)
        {
            Write(codes, zero, scale, minimum, scale, minimum, destination);
            return;
        }

        var table = Avx512F.ConvertToVector256UInt16(Rounded(BlockCodes.Floats(Vector128<byte>.Indices, zero, scale, minimum)) >>> 16).ToVector512Unsafe();
        Avx512BW.PermuteVar32x16(table, Avx512BW.ConvertToVector512UInt16(codes)).Store(destination);
    }

    /// <summary>Whether rounding by <see cref="Rounded"/> is right for whatever has these factors: NaN would overflow.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected static bool AreFinite(Vector512<float> factors) => Vector512.EqualsAll(factors - factors, Vector512<float>.Zero);

    /// <summary>To nearest, ties to even, in the upper halves.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Rounded(Vector512<float> value)
    {
        var bits = value.AsUInt32();
        return bits + Vector512.Create(0x7FFFu) + ((bits >>> 16) & Vector512<uint>.One);
    }

    /// <summary>The upper halves of both.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ushort> High(Vector512<uint> first, Vector512<uint> second) => Avx512BW.PermuteVar32x16x2(
        first.AsUInt16(),
        Vector512.Create((ushort)1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63),
        second.AsUInt16());

    /// <summary>A block with factors that are no numbers: a damaged one.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    protected static void WriteChecked<T>(T* block, ushort* destination) where T : unmanaged, IGgufBlock<T>
    {
        var values = stackalloc float[T.Elements];
        T.Dequantise(block, values);
        for (nuint i = 0; i < (nuint)T.Elements; i += Lanes.Count) BFloat16Lanes.Store512(Vector512.Load(values + i), ref *destination, i);
    }
}

/// <summary>Of blocks of 32.</summary>
internal sealed unsafe class RoundedBlocks<T> : RoundedBlocks where T : unmanaged, ICodeBlock<T>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Write(byte* source, ushort* destination, long count)
    {
        const int AtOnce = ICodeBlock<T>.AtOnce;
        var block = (T*)source;
        var blocks = count / Group;
        for (; blocks >= AtOnce; blocks -= AtOnce, block += AtOnce, destination += AtOnce * Group)
        {
            var (scales, minimums) = T.Factors(block, ICodeBlock<T>.Last);
            Write(block, scales[0], minimums[0], destination);
            Write(block + 1, scales[1], minimums[1], destination + Group);
            Write(block + 2, scales[2], minimums[2], destination + (2 * Group));
            Write(block + 3, scales[3], minimums[3], destination + (3 * Group));
            Write(block + 4, scales[4], minimums[4], destination + (4 * Group));
            Write(block + 5, scales[5], minimums[5], destination + (5 * Group));
            Write(block + 6, scales[6], minimums[6], destination + (6 * Group));
            Write(block + 7, scales[7], minimums[7], destination + (7 * Group));
        }

        if (blocks > 0) WriteLast(block, (int)blocks, destination);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WriteLast(T* block, int blocks, ushort* destination)
    {
        var (scales, minimums) = T.Factors(block, blocks - 1);
        for (var i = 0; i < blocks; i++) Write(block + i, scales[i], minimums[i], destination + (i * Group));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write(T* block, float scale, float minimum, ushort* destination)
    {
        if (float.IsFinite(scale) && float.IsFinite(minimum)) Write(T.Codes(block), T.LargestCode, T.Zero, scale, minimum, destination);
        else WriteChecked(block, destination);
    }
}

/// <summary>Of blocks of 256.</summary>
internal sealed unsafe class SuperRoundedBlocks<T> : RoundedBlocks where T : unmanaged, ISuperCodeBlock<T>
{
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Write(byte* source, ushort* destination, long count)
    {
        var factors = stackalloc float[2 * ISuperCodeBlock<T>.Halves];
        for (var block = (T*)source; count > 0; block++, destination += T.Elements, count -= T.Elements)
        {
            var (scales, minimums) = T.Factors(block);
            scales.Store(factors);
            minimums.Store(factors + ISuperCodeBlock<T>.Halves);
            if (!AreFinite(Vector512.Load(factors)) || !AreFinite(minimums))
            {
                WriteChecked(block, destination);
                continue;
            }

            // Written out, so that each group's place is a constant.
            Write(block, 0, factors, destination);
            Write(block, 1, factors, destination);
            Write(block, 2, factors, destination);
            Write(block, 3, factors, destination);
            Write(block, 4, factors, destination);
            Write(block, 5, factors, destination);
            Write(block, 6, factors, destination);
            Write(block, 7, factors, destination);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write(T* block, int group, float* factors, ushort* destination)
    {
        var scales = factors + (2 * group);
        var minimums = scales + ISuperCodeBlock<T>.Halves;
        if (T.ScalesHalves) Write(T.Codes(block, group), T.Zero, scales[0], minimums[0], scales[1], minimums[1], destination + (group * Group));
        else Write(T.Codes(block, group), T.LargestCode, T.Zero, *scales, *minimums, destination + (group * Group));
    }
}
