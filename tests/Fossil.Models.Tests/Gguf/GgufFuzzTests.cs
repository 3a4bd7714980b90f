using Fossil.Models.Gguf;
using Fossil.TestData;

namespace Fossil.Models.Tests.Gguf;

/// <summary>Damaged files, made from a good one with fixed seeds: each opens and loads, or is a <see cref="GgufException"/>, without much memory.</summary>
public sealed class GgufFuzzTests
{
    private const int FilesPerSeed = 400;
    private const long MostBytes = 4 << 20;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void A_damaged_file_is_an_error_or_loads(int seed)
    {
        using var folder = new TemporaryFolder();
        var good = GgufBytes.Sample().Build();
        var random = new Random(seed);
        var refused = 0;
        for (var i = 0; i < FilesPerSeed; i++)
        {
            File.WriteAllBytes(folder["fuzzed.gguf"], Damage(good, random));
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using var file = GgufFile.Open(folder["fuzzed.gguf"]);
                foreach (var tensor in file.Tensors)
                {
                    using var loaded = file.Load(tensor.Name, TorchSharp.torch.ScalarType.Float32);
                }
            }
            catch (GgufException)
            {
                refused++;
            }

            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MostBytes);
        }

        Assert.InRange(refused, FilesPerSeed / 10, FilesPerSeed);
    }

    private static byte[] Damage(byte[] good, Random random)
    {
        ulong[] telling = [0, 1, 31, 32, 255, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1UL << 32, 1UL << 40, long.MaxValue, 1UL << 63, ulong.MaxValue, ulong.MaxValue - 31];
        var bytes = good.ToArray();
        for (var changes = random.Next(1, 4); changes > 0; changes--)
        {
            // The header is a small part of the file and the interesting one.
            var at = random.Next(random.Next(4) == 0 ? bytes.Length : Math.Min(bytes.Length, 1200));
            switch (random.Next(4))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    BitConverter.GetBytes(telling[random.Next(telling.Length)]).AsSpan(0, Math.Min(random.Next(2) * 4 + 4, bytes.Length - at)).CopyTo(bytes.AsSpan(at));
                    break;
                case 2:
                    bytes = [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + random.Next(1, 9))..]];
                    break;
                default:
                    bytes = bytes[..Math.Max(1, at)];
                    break;
            }
        }

        return bytes;
    }
}
