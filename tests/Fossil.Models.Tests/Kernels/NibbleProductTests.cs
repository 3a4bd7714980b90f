using System.Runtime.InteropServices;
using Fossil.Kernels.OneRow;
using Fossil.Models.Gguf.Blocks;
using Fossil.Models.Kernels;

namespace Fossil.Models.Tests.Kernels;

/// <summary>Four blocks at once against one at a time, for rows of any number of blocks.</summary>
public sealed unsafe class NibbleProductTests
{
    [Fact]
    public void Q4_0() => It_gives_what_blocks_one_at_a_time_give<Q4_0>();

    [Fact]
    public void Q4_1() => It_gives_what_blocks_one_at_a_time_give<Q4_1>();

    [Fact]
    public void Q5_0() => It_gives_what_blocks_one_at_a_time_give<Q5_0>();

    [Fact]
    public void Q5_1() => It_gives_what_blocks_one_at_a_time_give<Q5_1>();

    [Fact]
    public void IQ4_NL() => It_gives_what_blocks_one_at_a_time_give<IQ4_NL>();

    [Fact]
    public void MXFP4() => It_gives_what_blocks_one_at_a_time_give<MXFP4>();

    private static void It_gives_what_blocks_one_at_a_time_give<T>() where T : unmanaged, INibbleBlock<T>
    {
        var random = new Random(5);
        var (wide, narrow, block) = (new NibbleProduct<T>(), new CodeProduct<T>(), GgufBlock.For(T.Type)!);
        for (var blocks = 1; blocks <= 9; blocks++)
        {
            var count = blocks * RowInput.Block;
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
                    float expected = narrow.Run(row, count, input), actual = wide.Run(row, count, input);
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
