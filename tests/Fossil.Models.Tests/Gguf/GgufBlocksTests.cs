using Fossil.Models.Gguf;
using Fossil.TestData;
using Bytes = Fossil.Models.Tests.Gguf.GgufBytes;

namespace Fossil.Models.Tests.Gguf;

/// <summary>Each block type against blocks whose quants, scales and minimums are chosen and packed here, by the format's description.</summary>
public sealed class GgufBlocksTests
{
    private const float Scale = 0.25f, Minimum = -1.5f;

    [Fact]
    public void Q8_0() => Check(GgufTensorType.Q8_0, [.. Half(Scale), .. Enumerable.Range(0, 32).Select(i => (byte)(sbyte)((8 * i) - 128))], i => ((8 * i) - 128) * Scale);

    [Fact]
    public void Q4_0() => Check(GgufTensorType.Q4_0, [.. Half(Scale), .. Nibbles(Four)], i => (Four(i) - 8) * Scale);

    [Fact]
    public void Q4_1() => Check(GgufTensorType.Q4_1, [.. Half(Scale), .. Half(Minimum), .. Nibbles(Four)], i => (Four(i) * Scale) + Minimum);

    [Fact]
    public void Q5_0() => Check(GgufTensorType.Q5_0, [.. Half(Scale), .. FifthBits(), .. Nibbles(Five)], i => (Five(i) - 16) * Scale);

    [Fact]
    public void Q5_1() => Check(GgufTensorType.Q5_1, [.. Half(Scale), .. Half(Minimum), .. FifthBits(), .. Nibbles(Five)], i => (Five(i) * Scale) + Minimum);

    [Fact]
    public void Q4_K()
    {
        // Eight groups of 32 with six-bit scales and minimums of their own.
        int[] scales = [1, 2, 33, 63, 7, 48, 17, 62], minimums = [3, 0, 63, 32, 5, 61, 16, 9];
        var packed = new byte[12];
        for (var i = 0; i < 4; i++)
        {
            packed[i] = (byte)(scales[i] | scales[i + 4] >> 4 << 6);
            packed[i + 4] = (byte)(minimums[i] | minimums[i + 4] >> 4 << 6);
            packed[i + 8] = (byte)(scales[i + 4] & 15 | (minimums[i + 4] & 15) << 4);
        }

        static int Quant(int i) => ((i * 7) + (i / 32)) % 16;
        var quants = new byte[128];
        for (var i = 0; i < 256; i++) quants[(i / 64 * 32) + (i % 32)] |= (byte)(Quant(i) << (i / 32 % 2 * 4));
        Check(GgufTensorType.Q4_K, [.. Half(Scale), .. Half(0.125f), .. packed, .. quants], i => (Scale * scales[i / 32] * Quant(i)) - (0.125f * minimums[i / 32]));
    }

    [Fact]
    public void Q6_K()
    {
        // Sixteen groups of 16 with signed scales of eight bits.
        sbyte[] scales = [1, -1, 127, -128, 5, 6, 7, -8, 9, 10, -11, 12, 13, -14, 15, 16];
        static int Quant(int i) => ((i * 11) + (i / 16)) % 64;
        var low = new byte[128];
        var high = new byte[64];
        for (var i = 0; i < 256; i++)
        {
            var (half, quarter, column) = (i / 128, i % 128 / 32, i % 32);
            low[(half * 64) + (quarter % 2 * 32) + column] |= (byte)((Quant(i) & 15) << (quarter / 2 * 4));
            high[(half * 32) + column] |= (byte)(Quant(i) >> 4 << (quarter * 2));
        }

        Check(GgufTensorType.Q6_K, [.. low, .. high, .. scales.Select(s => (byte)s), .. Half(Scale)], i => Scale * scales[i / 16] * (Quant(i) - 32));
    }

    /// <summary>The block twice over, so that the step from one block to the next is seen too.</summary>
    private static void Check(GgufTensorType type, byte[] block, Func<int, float> expected)
    {
        var (elements, bytes) = type.Block();
        Assert.Equal(bytes, block.Length);
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["model.gguf"], new Bytes().Tensor("t", type, [(ulong)elements, 2], [.. block, .. block]).Build());
        using var file = GgufFile.Open(folder["model.gguf"]);
        using var loaded = file.Load("t");
        var row = Enumerable.Range(0, elements).Select(expected).ToArray();
        Assert.Equal([.. row, .. row], loaded.data<float>().ToArray());
    }

    private static int Four(int i) => (i * 5) % 16;

    private static int Five(int i) => (i * 7) % 32;

    private static IEnumerable<byte> Nibbles(Func<int, int> quant) => Enumerable.Range(0, 16).Select(i => (byte)(quant(i) & 15 | (quant(i + 16) & 15) << 4));

    private static byte[] FifthBits() => Bytes.U32(Enumerable.Range(0, 32).Aggregate(0u, (bits, i) => bits | (uint)(Five(i) >> 4) << i));

    private static byte[] Half(float value) => BitConverter.GetBytes((Half)value);
}
