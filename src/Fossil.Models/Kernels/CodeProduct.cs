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
        const int Block = RowInput.Block, AtOnce = 4;
        var source = (T*)row;
        sbyte* codes = input.Codes;
        float* scales = input.Scales, inputSums = input.BlockSums;
        Vector256<float> a = default, b = default, c = default, d = default;
        Vector128<float> rest = default;
        var blocks = count / Block;
        for (; blocks >= AtOnce; blocks -= AtOnce, source += AtOnce, codes += AtOnce * Block, scales += AtOnce, inputSums += AtOnce)
        {
            var (factors, minimums) = T.Factors(source, source + 1, source + 2, source + 3);
            rest = Vector128.FusedMultiplyAdd(minimums, Vector128.Load(inputSums), rest);
            factors *= Vector128.Load(scales);
            a = Add(source, codes, factors[0], a);
            b = Add(source + 1, codes + Block, factors[1], b);
            c = Add(source + 2, codes + (2 * Block), factors[2], c);
            d = Add(source + 3, codes + (3 * Block), factors[3], d);
        }

        for (; blocks > 0; blocks--, source++, codes += Block, scales++, inputSums++)
        {
            var (factors, minimums) = T.Factors(source, source, source, source);
            rest = Vector128.FusedMultiplyAdd(minimums, Vector128.CreateScalar(*inputSums), rest);
            a = Add(source, codes, factors[0] * *scales, a);
        }

        return Sum(a + b + (c + d)) + Sum(rest);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Add(T* block, sbyte* codes, float factor, Vector256<float> sum) =>
        Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(CodeDot.Of(T.Codes(block), Vector256.Load(codes), T.LargestCode)), Vector256.Create(factor), sum);
}
