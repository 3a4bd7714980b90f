using System.Text;

namespace Fossil.Fuzz;

/// <summary>Damages a file in the ways that files are damaged, and in those that attackers think of. The same random numbers give the same file.</summary>
internal static class Mutator
{
    private const int MostMutations = 4;

    private static readonly string[] Numbers =
        ["0", "1", "-1", "7", "64", "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "1e3", "0.5", "1e999", "null", "\"8\""];

    private static readonly ulong[] BinaryNumbers = [0, 1, 8, 12, 31, 32, 255, int.MaxValue, 1UL << 31, uint.MaxValue, 1UL << 32, 1UL << 40, long.MaxValue, 1UL << 63, ulong.MaxValue - 31, ulong.MaxValue];

    private static readonly string[] Fragments =
        ["{", "}", "[", "]", ",", ":", "\"", "\\", "\\ud800", "\\u0000", "null", "true", "[[[[[[[[", "{\"a\":{\"a\":{\"a\":", "\"dtype\":\"F64\"", "\"shape\":[]", "\"data_offsets\":[0,0]", "\"__metadata__\":{}", "\"F4\"", "\"BF16\"", "(a+)+b", "\"all-linear\""];

    /// <summary>A damaged copy of one of the <paramref name="seeds"/>.</summary>
    public static byte[] Mutate(IReadOnlyList<byte[]> seeds, Random random)
    {
        var bytes = seeds[random.Next(seeds.Count)].ToList();
        for (var count = random.Next(1, MostMutations + 1); count > 0; count--) MutateOnce(bytes, seeds, random);
        return [.. bytes];
    }

    private static void MutateOnce(List<byte> bytes, IReadOnlyList<byte[]> seeds, Random random)
    {
        if (bytes.Count == 0)
        {
            bytes.Add((byte)random.Next(256));
            return;
        }

        // Most of what can be damaged is in the header, which comes first.
        var at = random.Next(2) == 0 ? random.Next(bytes.Count) : random.Next(Math.Min(bytes.Count, 512));
        var length = Math.Min(random.Next(1, 64), bytes.Count - at);
        switch (random.Next(12))
        {
            case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
            case 1: bytes[at] = (byte)random.Next(256); break;
            case 2: bytes.RemoveRange(at, length); break;
            case 3: bytes.RemoveRange(at, bytes.Count - at); break;
            case 4: bytes.InsertRange(at, bytes.GetRange(at, length)); break;
            case 5: ReplaceNumber(bytes, random); break;
            case 6: ReplaceNumber(bytes, random); break;
            case 7: bytes.InsertRange(at, Encoding.ASCII.GetBytes(Fragments[random.Next(Fragments.Length)])); break;
            case 8: ReplaceLength(bytes, random); break;
            case 9: Splice(bytes, seeds[random.Next(seeds.Count)], at, random); break;
            case 10: bytes.AddRange(new byte[random.Next(1, 64)]); break;
            case 11: ReplaceBinary(bytes, at, random); break;
        }
    }

    /// <summary>Puts a number in four or eight bytes where one may stand.</summary>
    private static void ReplaceBinary(List<byte> bytes, int at, Random random)
    {
        var number = BitConverter.GetBytes(BinaryNumbers[random.Next(BinaryNumbers.Length)]).AsSpan(0, random.Next(2) == 0 ? 4 : 8);
        for (var i = 0; i < number.Length && at + i < bytes.Count; i++) bytes[at + i] = number[i];
    }

    /// <summary>Puts another number where one stands in the text.</summary>
    private static void ReplaceNumber(List<byte> bytes, Random random)
    {
        var start = bytes.FindIndex(random.Next(Math.Min(bytes.Count, 4096)), value => value is >= (byte)'0' and <= (byte)'9');
        if (start < 0) return;
        var end = start;
        while (end < bytes.Count && bytes[end] is >= (byte)'0' and <= (byte)'9') end++;
        bytes.RemoveRange(start, end - start);
        bytes.InsertRange(start, Encoding.ASCII.GetBytes(Numbers[random.Next(Numbers.Length)]));
    }

    /// <summary>Puts another header length into the first eight bytes.</summary>
    private static void ReplaceLength(List<byte> bytes, Random random)
    {
        var length = random.Next(4) switch
        {
            0 => (ulong)random.NextInt64(),
            1 => (ulong)bytes.Count,
            2 => (ulong)Math.Max(0, bytes.Count - 8),
            _ => (ulong)random.Next(1 << 20),
        };
        for (var index = 0; index < Math.Min(8, bytes.Count); index++) bytes[index] = (byte)(length >> (8 * index));
    }

    private static void Splice(List<byte> bytes, byte[] other, int at, Random random)
    {
        var from = random.Next(other.Length);
        bytes.RemoveRange(at, bytes.Count - at);
        bytes.AddRange(other.AsSpan(from).ToArray());
    }
}
