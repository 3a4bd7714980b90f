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
        for (; blocks >= AtOnce; blocks -= AtOnce, source += AtOnce, codes += AtOnce * RowInput.Block, scales += AtOnce, inputSums += AtOnce) Add(source, ICodeBlock<T>.Last, codes, scales, inputSums, ref even, ref odd, ref rest);
        if (blocks > 0) Add(source, (int)blocks - 1, codes, scales, inputSums, ref even, ref odd, ref rest);
        var total = even + odd;
        return Sum(total.GetLower() + total.GetUpper()) + Sum(rest);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(T* blocks, int last, sbyte* codes, float* scales, float* inputSums, ref Vector512<float> even, ref Vector512<float> odd, ref Vector256<float> rest)
    {
        const int Half = ICodeBlock<T>.AtOnce / 2;
        var (factors, minimums) = T.Factors(blocks, last);
        rest = Vector256.FusedMultiplyAdd(minimums, Vector256.Load(inputSums), rest);
        var each = (factors * Vector256.Load(scales)).ToVector512Unsafe();
        var fours = BlockCodes.Fours.AsInt32();
        even = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(Dots(blocks, last, codes)), Avx512F.PermuteVar16x32(each, fours), even);
        if (last >= Half) odd = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(Dots(blocks + Half, last - Half, codes + (Half * RowInput.Block))), Avx512F.PermuteVar16x32(each, fours + Vector512.Create(Half)), odd);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Dots(T* blocks, int last, sbyte* codes)
    {
        var bytes = BlockCodes.Join(
            BlockCodes.Join(Vector128.Load(T.Nibbles(blocks)), Vector128.Load(T.Nibbles(blocks + Math.Min(1, last)))),
            BlockCodes.Join(Vector128.Load(T.Nibbles(blocks + Math.Min(2, last))), Vector128.Load(T.Nibbles(blocks + Math.Min(3, last)))));
        var first = T.Codes(BlockCodes.Nibbles(bytes, 0), blocks, last, isSecond: false);
        var second = T.Codes(BlockCodes.Nibbles(bytes, 4), blocks, last, isSecond: true);
        return CodeDot.Of(first, Vector512.Load(codes), second, Vector512.Load(codes + Vector512<sbyte>.Count), T.LargestCode);
    }
}
