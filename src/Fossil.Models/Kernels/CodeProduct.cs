using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.Kernels.OneRow;
using Fossil.Models.Gguf.Blocks;

namespace Fossil.Models.Kernels;

/// <summary>
/// Products of rows of blocks with rows of codes (<see cref="RowInput"/>): sums of whole numbers, multiplied by both scales in float32. It is what llama.cpp computes, which rounds x to codes too, but
/// for x's scale, which has 24 bits here and sixteen bits' eleven there. A row of blocks is read from its beginning to its end: the processor reads ahead in one stream, not in several short ones.
/// </summary>
internal abstract unsafe class CodeProduct
{
    /// <summary>The product of a row of blocks with a row.</summary>
    /// <param name="row">Where the blocks begin.</param>
    /// <param name="count">Their elements.</param>
    /// <param name="input">The row.</param>
    public abstract float Run(byte* row, long count, in RowInput input);

    // In one order on any processor.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private protected static float Sum(Vector256<float> x) => Sum(x.GetLower() + x.GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private protected static float Sum(Vector128<float> x) => x[0] + x[2] + (x[1] + x[3]);
}

/// <summary>Of blocks of 32.</summary>
internal sealed unsafe class CodeProduct<T> : CodeProduct where T : unmanaged, ICodeBlock<T>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override float Run(byte* row, long count, in RowInput input)
    {
        const int Block = RowInput.Block, AtOnce = ICodeBlock<T>.AtOnce;
        var source = (T*)row;
        sbyte* codes = input.Codes;
        float* scales = input.Scales, inputSums = input.BlockSums;
        Vector256<float> a = default, b = default, c = default, d = default, rest = default;
        var blocks = count / Block;
        for (; blocks >= AtOnce; blocks -= AtOnce, source += AtOnce, codes += AtOnce * Block, scales += AtOnce, inputSums += AtOnce)
        {
            var (factors, minimums) = T.Factors(source, ICodeBlock<T>.Last);
            rest = Vector256.FusedMultiplyAdd(minimums, Vector256.Load(inputSums), rest);
            factors *= Vector256.Load(scales);
            a = Add(source, codes, factors[0], a);
            b = Add(source + 1, codes + Block, factors[1], b);
            c = Add(source + 2, codes + (2 * Block), factors[2], c);
            d = Add(source + 3, codes + (3 * Block), factors[3], d);
            a = Add(source + 4, codes + (4 * Block), factors[4], a);
            b = Add(source + 5, codes + (5 * Block), factors[5], b);
            c = Add(source + 6, codes + (6 * Block), factors[6], c);
            d = Add(source + 7, codes + (7 * Block), factors[7], d);
        }

        if (blocks > 0)
        {
            var (factors, minimums) = T.Factors(source, (int)blocks - 1);
            rest = Vector256.FusedMultiplyAdd(minimums, Vector256.Load(inputSums), rest);
            factors *= Vector256.Load(scales);
            for (var i = 0; i < blocks; i++) a = Add(source + i, codes + (i * Block), factors[i], a);
        }

        return Sum(a + b + (c + d)) + Sum(rest);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Add(T* block, sbyte* codes, float factor, Vector256<float> sum) =>
        Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(CodeDot.Of(T.Codes(block), Vector256.Load(codes), T.LargestCode)), Vector256.Create(factor), sum);
}
