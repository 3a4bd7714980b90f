using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.Kernels.Cpu;

namespace Fossil.Kernels.OneRow;

/// <summary>
/// A row x that several products read: in float32 and, where one of them multiplies integers, as blocks of 32 codes of eight bits with a scale, x ≈ scale · code: what llama.cpp makes of it too, which
/// keeps the scale in sixteen bits only.
/// </summary>
internal readonly unsafe struct RowInput
{
    /// <summary>Elements of a block.</summary>
    public const int Block = 32;

    // Blocks that lie interleaved, and blocks that products read at once.
    private const int Group = 4, AtOnce = 8;

    private const float LargestCode = 127;

    private RowInput(float* values, sbyte* interleaved, sbyte* codes, float* scales, float* blockSums, float* halfSums)
    {
        Values = values;
        Interleaved = interleaved;
        Codes = codes;
        Scales = scales;
        BlockSums = blockSums;
        HalfSums = halfSums;
    }

    /// <summary>x.</summary>
    public float* Values { get; }

    /// <summary>The codes; null where no product reads them.</summary>
    public sbyte* Codes { get; }

    /// <summary>The same codes by groups of four blocks: the first halves of the four, then the second ones. They are filled up to a multiple of eight with blocks of nothing, scales and sums too.</summary>
    public sbyte* Interleaved { get; }

    /// <summary>A scale a block.</summary>
    public float* Scales { get; }

    /// <summary>scale · Σ codes of each block, for weights that are a code above a minimum.</summary>
    public float* BlockSums { get; }

    /// <summary>The same of each half block.</summary>
    public float* HalfSums { get; }

    /// <summary>Floats of memory that the codes of <paramref name="count"/> elements take.</summary>
    public static long FloatsOfCodes(long count) => (count / sizeof(float)) + (FilledUp(count / Block) * ((Block / sizeof(float)) + 2)) + (2 * (count / Block));

    /// <summary>x as it is.</summary>
    public static RowInput Of(float* values) => new(values, null, null, null, null, null);

    /// <summary>x with its codes.</summary>
    /// <param name="values">x.</param>
    /// <param name="count">Its elements, a multiple of <see cref="Block"/>.</param>
    /// <param name="memory">Room for <see cref="FloatsOfCodes"/>, aligned as vectors are.</param>
    public static RowInput Quantise(float* values, long count, float* memory)
    {
        var blocks = count / Block;
        var whole = FilledUp(blocks);
        var codes = (sbyte*)memory + (whole * Block);
        var scales = memory + ((whole * Block) + count) / sizeof(float);
        var input = new RowInput(values, (sbyte*)memory, codes, scales, scales + whole, scales + (2 * whole));
        for (long block = 0; block < blocks; block++) input.Quantise(block);
        for (var block = blocks; block < whole; block++) input.Clear(block);
        return input;
    }

    private static long FilledUp(long blocks) => (blocks + AtOnce - 1) / AtOnce * AtOnce;

    /// <summary>Where the first half of a block begins among the interleaved codes; the second half is a vector behind it.</summary>
    private sbyte* Half(long block) => Interleaved + (block / Group * Group * Block) + (block % Group * (Block / 2));

    private void Clear(long block)
    {
        Vector128<sbyte>.Zero.Store(Half(block));
        Vector128<sbyte>.Zero.Store(Half(block) + (Group * Block / 2));
        (Scales[block], BlockSums[block]) = (0, 0);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Quantise(long block)
    {
        var source = Values + (block * Block);
        var (low, high) = (Vector512.Load(source), Vector512.Load(source + Lanes.Count));
        var most = Vector512.Max(Vector512.Abs(low), Vector512.Abs(high));
        var eight = Vector256.Max(most.GetLower(), most.GetUpper());
        var four = Vector128.Max(eight.GetLower(), eight.GetUpper());
        var largest = MathF.Max(MathF.Max(four[0], four[1]), MathF.Max(four[2], four[3]));
        var scale = largest / LargestCode;
        var inverse = largest == 0 ? 0 : LargestCode / largest;
        var (first, second) = (Vector512.ConvertToInt32(Vector512.Round(low * inverse)), Vector512.ConvertToInt32(Vector512.Round(high * inverse)));
        var shorts = Vector512.Narrow(first, second);
        var codes = Vector256.Narrow(shorts.GetLower(), shorts.GetUpper());
        codes.Store(Codes + (block * Block));
        codes.GetLower().Store(Half(block));
        codes.GetUpper().Store(Half(block) + (Group * Block / 2));
        Scales[block] = scale;
        var (lowSum, highSum) = (Vector512.Sum(first), Vector512.Sum(second));
        BlockSums[block] = scale * (lowSum + highSum);
        HalfSums[2 * block] = scale * lowSum;
        HalfSums[(2 * block) + 1] = scale * highSum;
    }
}
