using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Fossil.Kernels.OneRow;
using Fossil.Models.Gguf.Blocks;
using Fossil.Models.Kernels;

namespace Fossil.Models.Tests.Kernels;

/// <summary>Products in vectors of 512 bits against narrower ones, for rows of any number of blocks.</summary>
public sealed unsafe class CodeProductTests
{
    private delegate float Product(byte* row, long count, in RowInput input);

    [Fact]
    public void Q4_0() => Blocks_at_once_give_what_one_at_a_time_gives<Q4_0>();

    [Fact]
    public void Q4_1() => Blocks_at_once_give_what_one_at_a_time_gives<Q4_1>();

    [Fact]
    public void Q5_0() => Blocks_at_once_give_what_one_at_a_time_gives<Q5_0>();

    [Fact]
    public void Q5_1() => Blocks_at_once_give_what_one_at_a_time_gives<Q5_1>();

    [Fact]
    public void IQ4_NL() => Blocks_at_once_give_what_one_at_a_time_gives<IQ4_NL>();

    [Fact]
    public void MXFP4() => Blocks_at_once_give_what_one_at_a_time_gives<MXFP4>();

    [Fact]
    public void Q2_K() => Groups_at_once_give_what_one_at_a_time_gives<Q2_K>(new HalfCodeProduct<Q2_K>());

    [Fact]
    public void Q3_K() => Groups_at_once_give_what_one_at_a_time_gives<Q3_K>(new HalfCodeProduct<Q3_K>());

    [Fact]
    public void Q4_K() => Groups_at_once_give_what_one_at_a_time_gives<Q4_K>(new GroupCodeProduct<Q4_K>());

    [Fact]
    public void Q5_K() => Groups_at_once_give_what_one_at_a_time_gives<Q5_K>(new GroupCodeProduct<Q5_K>());

    [Fact]
    public void Q6_K() => Groups_at_once_give_what_one_at_a_time_gives<Q6_K>(new HalfCodeProduct<Q6_K>());

    [Fact]
    public void IQ4_XS() => Groups_at_once_give_what_one_at_a_time_gives<IQ4_XS>(new GroupCodeProduct<IQ4_XS>());

    [Fact]
    public void TQ2_0() => Groups_at_once_give_what_one_at_a_time_gives<TQ2_0>(new GroupCodeProduct<TQ2_0>());

    /// <summary>Those below 2^-14 too, which blocks of small weights have.</summary>
    [Fact]
    public void Every_scale_of_sixteen_bits_is_its_number()
    {
        var eight = stackalloc Half[8];
        for (var bits = 0; bits <= ushort.MaxValue; bits++)
        {
            var half = BitConverter.UInt16BitsToHalf((ushort)bits);
            Assert.Equal((float)half, BlockVectors.Scale(half));
            new Span<Half>(eight, 8).Fill(half);
            var pairs = BlockCodes.SinglesOfPairs((byte*)eight, 0, 7);
            Assert.Equal(Vector256.Create((float)half), BlockCodes.Singles((byte*)eight, sizeof(Half), 7), Same);
            Assert.Equal(Vector256.Create((float)half), pairs.First, Same);
            Assert.Equal(Vector256.Create((float)half), pairs.Second, Same);
        }

        static bool Same(Vector256<float> a, Vector256<float> b) => (Vector256.Equals(a, b) | (Vector256.IsNaN(a) & Vector256.IsNaN(b))).AsInt32() == Vector256<int>.AllBitsSet;
    }

    private static void Blocks_at_once_give_what_one_at_a_time_gives<T>() where T : unmanaged, INibbleBlock<T> => Same<T>(new NibbleProduct<T>().Run, new CodeProduct<T>().Run);

    private static void Groups_at_once_give_what_one_at_a_time_gives<T>(SuperCodeProduct<T> wide) where T : unmanaged, ISuperCodeBlock<T> =>
        Same<T>(wide.Run, (byte* row, long count, in RowInput input) => SuperCodeProduct<T>.Narrow((T*)row, count / T.Elements, input));

    private static void Same<T>(Product wide, Product narrow) where T : unmanaged, IGgufBlock<T>
    {
        var random = new Random(5);
        var block = GgufBlock.For(T.Type)!;
        for (var blocks = 1; blocks <= 9; blocks++)
        {
            var count = blocks * T.Elements;
            // No byte behind the row may be read: another row's there could be no number.
            var bytes = new byte[blocks * sizeof(T)];
            do random.NextBytes(bytes);
            while (!IsSmall(block, bytes, count));
            var memory = (float*)NativeMemory.AlignedAlloc((nuint)(count + RowInput.FloatsOfCodes(count)) * sizeof(float), 64);
            try
            {
                for (var i = 0; i < count; i++) memory[i] = (float)((random.NextDouble() - 0.5) * (1 + (i / RowInput.Block)));
                var input = RowInput.Quantise(memory, count, memory + count);
                fixed (byte* row = bytes)
                {
                    float expected = narrow(row, count, input), actual = wide(row, count, input);
                    Assert.True(MathF.Abs(actual - expected) <= 1e-4f * Magnitude(block, row, count, memory), $"{blocks} blocks: {actual}, not {expected}.");
                }
            }
            finally
            {
                NativeMemory.AlignedFree(memory);
            }
        }
    }

    private static bool IsSmall(GgufBlock block, byte[] bytes, int count)
    {
        fixed (byte* row = bytes) return block.IsFinite(row, count);
    }

    /// <summary>The sum of the products' sizes.</summary>
    private static float Magnitude(GgufBlock block, byte* row, int count, float* input)
    {
        var values = new float[count];
        fixed (float* to = values) block.Dequantise(row, to, count);
        return values.Select((value, i) => MathF.Abs(value * input[i])).Sum();
    }
}
