using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Fossil.Kernels.OneRow;
using Fossil.Models.Gguf.Blocks;

namespace Fossil.Models.Kernels;

/// <summary>Of blocks of 256.</summary>
internal abstract unsafe class SuperCodeProduct<T> : CodeProduct where T : unmanaged, ISuperCodeBlock<T>
{
    private protected const int Groups = 8, Elements = Groups * RowInput.Block, Halves = ISuperCodeBlock<T>.Halves;

    public sealed override float Run(byte* row, long count, in RowInput input) => CodeDot.IsWide(T.LargestCode) ? Wide((T*)row, count / Elements, input) : Narrow((T*)row, count / Elements, input);

    /// <summary>Where vectors have 512 bits.</summary>
    private protected abstract float Wide(T* source, long blocks, in RowInput input);

    /// <summary>A group at a time, on any processor.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static float Narrow(T* source, long blocks, in RowInput input)
    {
        var halves = stackalloc float[Halves];
        sbyte* codes = input.Codes;
        float* inputScales = input.Scales, inputSums = input.HalfSums;
        Vector256<float> total = default;
        Vector512<float> rest = default;
        for (; blocks > 0; blocks--, source++, inputSums += Halves)
        {
            var (scales, minimums) = T.Factors(source);
            rest = Vector512.FusedMultiplyAdd(minimums, Vector512.Load(inputSums), rest);
            scales.Store(halves);
            for (var group = 0; group < Groups; group++, codes += RowInput.Block, inputScales++)
            {
                var factors = Vector256.Create(Vector128.Create(halves[2 * group]), Vector128.Create(halves[(2 * group) + 1]));
                total = Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(CodeDot.Of(T.Codes(source, group), Vector256.Load(codes), T.LargestCode)), factors * *inputScales, total);
            }
        }

        return Sum(total) + Vector512.Sum(rest);
    }
}

/// <summary>Whose half groups have factors of their own: two groups at once.</summary>
internal sealed unsafe class HalfCodeProduct<T> : SuperCodeProduct<T> where T : unmanaged, IHalfCodeBlock<T>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private protected override float Wide(T* source, long blocks, in RowInput input)
    {
        sbyte* codes = input.Codes;
        float* inputScales = input.Scales, inputSums = input.HalfSums;
        Vector512<float> even = default, odd = default, rest = default;
        var twice = Vector512.Create(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
        // Each of a group's eight sums is of four neighbours: the first four are the first half's.
        var first = BlockCodes.Fours.AsInt32();
        var second = first + Vector512.Create(4);
        var third = first + Vector512.Create(8);
        var fourth = first + Vector512.Create(12);
        for (; blocks > 0; blocks--, source++, codes += Elements, inputScales += Groups, inputSums += Halves)
        {
            var (scales, minimums) = T.Factors(source);
            rest = Vector512.FusedMultiplyAdd(minimums, Vector512.Load(inputSums), rest);
            scales *= Avx512F.PermuteVar16x32(Vector256.Load(inputScales).ToVector512Unsafe(), twice);
            even = Add(source, 0, codes, Avx512F.PermuteVar16x32(scales, first), even);
            odd = Add(source, 1, codes, Avx512F.PermuteVar16x32(scales, second), odd);
            even = Add(source, 2, codes, Avx512F.PermuteVar16x32(scales, third), even);
            odd = Add(source, 3, codes, Avx512F.PermuteVar16x32(scales, fourth), odd);
        }

        var total = even + odd;
        return Sum(total.GetLower() + total.GetUpper()) + Vector512.Sum(rest);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Add(T* block, int pair, sbyte* codes, Vector512<float> factors, Vector512<float> sum) => Vector512.FusedMultiplyAdd(
        Vector512.ConvertToSingle(CodeDot.Of(T.PairOfCodes(block, pair), Vector512.Load(codes + (pair * Vector512<sbyte>.Count)), T.LargestCode)), factors, sum);
}

/// <summary>Whose groups have one factor each: four groups at once, each a quarter of a vector.</summary>
internal sealed unsafe class GroupCodeProduct<T> : SuperCodeProduct<T> where T : unmanaged, IGroupCodeBlock<T>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private protected override float Wide(T* source, long blocks, in RowInput input)
    {
        sbyte* codes = input.Interleaved;
        float* inputScales = input.Scales, inputSums = input.BlockSums;
        Vector512<float> even = default, odd = default;
        Vector256<float> rest = default;
        var first = BlockCodes.Fours.AsInt32();
        var second = first + Vector512.Create(4);
        for (; blocks > 0; blocks--, source++, codes += Elements, inputScales += Groups, inputSums += Groups)
        {
            var (scales, minimums) = T.GroupFactors(source);
            rest = Vector256.FusedMultiplyAdd(minimums, Vector256.Load(inputSums), rest);
            var factors = (scales * Vector256.Load(inputScales)).ToVector512Unsafe();
            even = Add(source, 0, codes, Avx512F.PermuteVar16x32(factors, first), even);
            odd = Add(source, 1, codes + (Elements / 2), Avx512F.PermuteVar16x32(factors, second), odd);
        }

        var total = even + odd;
        return Sum(total.GetLower() + total.GetUpper()) + Sum(rest);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Add(T* block, int four, sbyte* codes, Vector512<float> factors, Vector512<float> sum)
    {
        var (first, second) = T.FourGroups(block, four);
        return Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(CodeDot.Of(first, Vector512.Load(codes), second, Vector512.Load(codes + Vector512<sbyte>.Count), T.LargestCode)), factors, sum);
    }
}
