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
        sbyte* codes = input.Interleaved;
        float* scales = input.Scales, inputSums = input.BlockSums;
        Vector512<float> total = default;
        Vector128<float> rest = default;
        for (; blocks >= RowInput.Group; blocks -= RowInput.Group, source += RowInput.Group, codes += RowInput.Group * RowInput.Block, scales += RowInput.Group, inputSums += RowInput.Group)
        {
            Add(source, source + 1, source + 2, source + 3, codes, scales, inputSums, ref total, ref rest);
        }

        // What fills the last group up of x is nothing, whatever it is multiplied by.
        if (blocks > 0) Add(source, source + (blocks > 1 ? 1 : 0), source + (blocks > 2 ? 2 : 0), source, codes, scales, inputSums, ref total, ref rest);
        return Sum(total.GetLower() + total.GetUpper()) + Sum(rest);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(T* a, T* b, T* c, T* d, sbyte* codes, float* scales, float* inputSums, ref Vector512<float> total, ref Vector128<float> rest)
    {
        var bytes = Vector512.Create(Vector256.Create(Vector128.Load(T.Nibbles(a)), Vector128.Load(T.Nibbles(b))), Vector256.Create(Vector128.Load(T.Nibbles(c)), Vector128.Load(T.Nibbles(d))));
        var low = Vector512.Create((byte)0xF);
        var first = T.Codes(bytes & low, a, b, c, d, isSecond: false);
        var second = T.Codes((bytes.AsUInt16() >>> 4).AsByte() & low, a, b, c, d, isSecond: true);
        var dots = CodeDot.Of(first, Vector512.Load(codes), second, Vector512.Load(codes + Vector512<sbyte>.Count), T.LargestCode);
        var (factors, minimums) = T.Factors(a, b, c, d);
        rest = Vector128.FusedMultiplyAdd(minimums, Vector128.Load(inputSums), rest);
        var each = Avx512F.PermuteVar16x32((factors * Vector128.Load(scales)).ToVector256Unsafe().ToVector512Unsafe(), BlockCodes.Fours.AsInt32());
        total = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(dots), each, total);
    }
}
