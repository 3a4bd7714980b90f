using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Fossil.Kernels.OneRow;
using Fossil.Models.Gguf.Blocks;

namespace Fossil.Models.Kernels;

/// <summary>Of blocks of 32 nibbles: four at once where vectors have 512 bits, each quarter of which is a block's.</summary>
internal sealed unsafe class NibbleProduct<T> : CodeProduct where T : unmanaged, INibbleBlock<T>
{
    private readonly CodeProduct<T> narrow = new();

    public override float Run(byte* row, long count, in RowInput input) => CodeDot.IsWide(T.LargestCode) ? Wide((T*)row, count / RowInput.Block, input) : narrow.Run(row, count, input);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Wide(T* source, long blocks, in RowInput input)
    {
        const int AtOnce = ICodeBlock<T>.AtOnce;
        sbyte* codes = input.Interleaved;
        float* scales = input.Scales, inputSums = input.BlockSums;
        Vector512<float> even = default, odd = default;
        Vector256<float> rest = default;
        for (; blocks >= AtOnce; blocks -= AtOnce, source += AtOnce, codes += AtOnce * RowInput.Block, scales += AtOnce, inputSums += AtOnce) Add(source, codes, scales, inputSums, ref even, ref odd, ref rest);
        if (blocks > 0)
        {
            var filled = stackalloc T[AtOnce];
            ICodeBlock<T>.FillUp(source, blocks, filled);
            Add(filled, codes, scales, inputSums, ref even, ref odd, ref rest);
        }

        var total = even + odd;
        return Sum(total.GetLower() + total.GetUpper()) + Sum(rest);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(T* eight, sbyte* codes, float* scales, float* inputSums, ref Vector512<float> even, ref Vector512<float> odd, ref Vector256<float> rest)
    {
        var (factors, minimums) = T.Factors(eight);
        rest = Vector256.FusedMultiplyAdd(minimums, Vector256.Load(inputSums), rest);
        var each = (factors * Vector256.Load(scales)).ToVector512Unsafe();
        var fours = BlockCodes.Fours.AsInt32();
        even = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(Dots(eight, codes)), Avx512F.PermuteVar16x32(each, fours), even);
        odd = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(Dots(eight + 4, codes + (4 * RowInput.Block))), Avx512F.PermuteVar16x32(each, fours + Vector512.Create(4)), odd);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Dots(T* four, sbyte* codes)
    {
        var bytes = BlockCodes.Join(BlockCodes.Join(Vector128.Load(T.Nibbles(four)), Vector128.Load(T.Nibbles(four + 1))), BlockCodes.Join(Vector128.Load(T.Nibbles(four + 2)), Vector128.Load(T.Nibbles(four + 3))));
        var first = T.Codes(BlockCodes.Nibbles(bytes, 0), four, isSecond: false);
        var second = T.Codes(BlockCodes.Nibbles(bytes, 4), four, isSecond: true);
        return CodeDot.Of(first, Vector512.Load(codes), second, Vector512.Load(codes + Vector512<sbyte>.Count), T.LargestCode);
    }
}
