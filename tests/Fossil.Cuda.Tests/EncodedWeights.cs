using System.Buffers.Binary;
using Fossil.CompilerServices;
using Fossil.Models.Checkpoints.Quantised;
using Fossil.Models.Gguf;
using Fossil.Models.Gguf.Blocks;
using Fossil.Serialization;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>A weight of random bytes in each format that the CUDA kernels read; its rows as numbers are the host's.</summary>
internal static unsafe class EncodedWeights
{
    /// <summary>Where a block has numbers of sixteen bits: random bits might be no number.</summary>
    private static readonly Dictionary<string, int[]> Halves = new()
    {
        ["Q4_0"] = [0], ["Q4_1"] = [0, 2], ["Q5_0"] = [0], ["Q5_1"] = [0, 2], ["Q8_0"] = [0], ["IQ4_NL"] = [0], ["MXFP4"] = [], ["NVFP4"] = [],
        ["Q2_K"] = [80, 82], ["Q3_K"] = [108], ["Q4_K"] = [0, 2], ["Q5_K"] = [0, 2], ["Q6_K"] = [208], ["IQ4_XS"] = [0], ["TQ1_0"] = [52], ["TQ2_0"] = [64],
    };

    public static TiledWeight Of(string format, long rows, long columns, ScalarType dtype, ScalarType stored = ScalarType.Float32, long headRows = 0)
    {
        var random = new Random(format.Length + format[^1]);
        var kind = empty(0, dtype: dtype);
        if (Halves.TryGetValue(format, out var halves))
        {
            var block = GgufBlock.For(Enum.Parse<GgufTensorType>(format))!;
            var bytes = Bytes(random, rows, columns / block.Elements * block.Bytes);
            for (var at = 0; at < bytes.numel(); at += block.Bytes)
            {
                // An exponent, of which the largest are more than a sum can hold.
                if (format == "MXFP4") bytes.bytes[at] = (byte)(at == 0 ? 1 : random.Next(118, 132));
                // Small and large ones, of either sign, and one that is subnormal.
                foreach (var half in halves) BinaryPrimitives.WriteHalfLittleEndian(bytes.bytes[(at + half)..], at == 0 ? (Half)3e-6f : (Half)((random.NextSingle() - 0.5f) * MathF.Pow(2, random.Next(-8, 4))));
            }
            return new BlockWeight(bytes, kind, block, new HeadOrder(headRows));
        }

        if (format == "FourBits")
        {
            var values = Enumerable.Range(0, 16).Select(_ => random.NextSingle() - 0.5f).ToArray();
            return new FourBitWeight(Bytes(random, rows * columns / 2), kind, new(rows, columns, values, new(Floats(random, ((rows * columns) + 63) / 64)), 64, stored));
        }

        var numbers = empty([rows, columns], dtype: format switch { "Int8" => int8, "Float8E4M3" => SafetensorsDtype.F8_E4M3.ToTorch()!.Value, _ => SafetensorsDtype.F8_E5M2.ToTorch()!.Value });
        Span<byte> codes = new((void*)NativeTensor.Data(numbers), (int)numbers.numel());
        random.NextBytes(codes);
        // All ones are no number in one of the formats, and the largest exponent in the other.
        if (format != "Int8") foreach (ref var code in codes) code = (byte)((code & 0x7C) == 0x7C ? code & 0xBB : code);
        return new EightBitWeight(numbers, kind, format == "Int8" ? new(Floats(random, rows), 1, columns) : new(Floats(random, (rows + 3) / 4 * ((columns + 23) / 24)), 4, 24));
    }

    private static Tensor Bytes(Random random, params long[] shape)
    {
        var bytes = empty(shape, dtype: ScalarType.Byte);
        random.NextBytes(bytes.bytes);
        return bytes;
    }

    private static float[] Floats(Random random, long count) => [.. Enumerable.Range(0, (int)count).Select(_ => random.NextSingle() + 0.1f)];
}
