using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Fossil.Models.Gguf.Blocks;

/// <summary>A block of 32 elements that are scale · code + minimum, so that its product with codes is one of whole numbers.</summary>
/// <typeparam name="TSelf">The struct itself.</typeparam>
internal unsafe interface ICodeBlock<TSelf> : IGgufBlock<TSelf>
    where TSelf : unmanaged, ICodeBlock<TSelf>
{
    /// <summary>The largest code.</summary>
    static abstract byte LargestCode { get; }

    /// <summary>The code that stands for 0, in types whose elements are scale · (code - this); null where they have a minimum of their own.</summary>
    static abstract byte? Zero { get; }

    /// <summary>The codes, none negative.</summary>
    static abstract Vector256<byte> Codes(TSelf* block);

    /// <summary>Scales and minimums of four blocks.</summary>
    static abstract (Vector128<float> Scales, Vector128<float> Minimums) Factors(TSelf* a, TSelf* b, TSelf* c, TSelf* d);
}

/// <summary>A block whose codes lie as those of its first half in the low halves of sixteen bytes, and those of its second half in the high ones: those of several blocks are taken apart at once.</summary>
/// <typeparam name="TSelf">The struct itself.</typeparam>
internal unsafe interface INibbleBlock<TSelf> : ICodeBlock<TSelf>
    where TSelf : unmanaged, INibbleBlock<TSelf>
{
    /// <summary>Where the sixteen bytes begin.</summary>
    static abstract byte* Nibbles(TSelf* block);

    /// <summary>The codes of four blocks' halves, none negative.</summary>
    /// <param name="nibbles">Their nibbles, one a byte.</param>
    /// <param name="a">The first block.</param>
    /// <param name="b">The second.</param>
    /// <param name="c">The third.</param>
    /// <param name="d">The fourth.</param>
    /// <param name="isSecond">Whether they are the second halves.</param>
    static abstract Vector512<byte> Codes(Vector512<byte> nibbles, TSelf* a, TSelf* b, TSelf* c, TSelf* d, bool isSecond);
}

/// <summary>A block of 256 elements, in each half of its eight groups of 32 scale · code + minimum.</summary>
/// <typeparam name="TSelf">The struct itself.</typeparam>
internal unsafe interface ISuperCodeBlock<TSelf> : IGgufBlock<TSelf>
    where TSelf : unmanaged, ISuperCodeBlock<TSelf>
{
    /// <summary>Halves of groups.</summary>
    const int Halves = 16;

    /// <summary>The largest code.</summary>
    static abstract byte LargestCode { get; }

    /// <summary>The code that stands for 0, in types whose elements are scale · (code - this); null where they have a minimum of their own.</summary>
    static abstract byte? Zero { get; }

    /// <summary>Whether the halves of a group have factors of their own.</summary>
    static abstract bool ScalesHalves { get; }

    /// <summary>The codes of a group, none negative.</summary>
    static abstract Vector256<byte> Codes(TSelf* block, int group);

    /// <summary>Scales and minimums of the sixteen halves.</summary>
    static abstract (Vector512<float> Scales, Vector512<float> Minimums) Factors(TSelf* block);

    [SkipLocalsInit]
    static void IGgufBlock<TSelf>.Dequantise(TSelf* block, float* values)
    {
        var factors = stackalloc float[2 * Halves];
        var (scales, minimums) = TSelf.Factors(block);
        scales.Store(factors);
        minimums.Store(factors + Halves);
        for (var half = 0; half < Halves; half += 2)
        {
            var codes = TSelf.Codes(block, half / 2);
            BlockCodes.Floats(codes.GetLower(), TSelf.Zero, factors[half], factors[half + Halves]).Store(values + (half * 16));
            BlockCodes.Floats(codes.GetUpper(), TSelf.Zero, factors[half + 1], factors[half + 1 + Halves]).Store(values + (half * 16) + 16);
        }
    }
}

/// <summary>Whose half groups have factors of their own.</summary>
/// <typeparam name="TSelf">The struct itself.</typeparam>
internal unsafe interface IHalfCodeBlock<TSelf> : ISuperCodeBlock<TSelf>
    where TSelf : unmanaged, IHalfCodeBlock<TSelf>
{
    static bool ISuperCodeBlock<TSelf>.ScalesHalves => true;

    /// <summary>The codes of groups 2 · <paramref name="pair"/> and 2 · <paramref name="pair"/> + 1, where vectors have 512 bits.</summary>
    static abstract Vector512<byte> PairOfCodes(TSelf* block, int pair);
}

/// <summary>Whose groups have one factor each.</summary>
/// <typeparam name="TSelf">The struct itself.</typeparam>
internal unsafe interface IGroupCodeBlock<TSelf> : ISuperCodeBlock<TSelf>
    where TSelf : unmanaged, IGroupCodeBlock<TSelf>
{
    static bool ISuperCodeBlock<TSelf>.ScalesHalves => false;

    /// <summary>The codes of the first halves of four groups, and those of their second halves, where vectors have 512 bits.</summary>
    /// <param name="block">The block.</param>
    /// <param name="four">0 for the first four, 1 for the others.</param>
    static abstract (Vector512<byte> First, Vector512<byte> Second) FourGroups(TSelf* block, int four);

    /// <summary>Scales and minimums of the eight groups.</summary>
    static abstract (Vector256<float> Scales, Vector256<float> Minimums) GroupFactors(TSelf* block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static (Vector512<float> Scales, Vector512<float> Minimums) ISuperCodeBlock<TSelf>.Factors(TSelf* block)
    {
        var (scales, minimums) = TSelf.GroupFactors(block);
        return (Twice(scales), Twice(minimums));
    }

    private static Vector512<float> Twice(Vector256<float> x) => Vector512.Create(
        Vector256.Create(Vector128.Create(x[0], x[0], x[1], x[1]), Vector128.Create(x[2], x[2], x[3], x[3])), Vector256.Create(Vector128.Create(x[4], x[4], x[5], x[5]), Vector128.Create(x[6], x[6], x[7], x[7])));
}

/// <summary>Codes out of packed bits, and factors out of halves.</summary>
internal static unsafe class BlockCodes
{
    /// <summary>What sixteen codes stand for, each rounded as ggml's reference does it.</summary>
    /// <param name="codes">The codes.</param>
    /// <param name="zero">The code of 0; null where <paramref name="minimum"/> counts.</param>
    /// <param name="scale">Their scale.</param>
    /// <param name="minimum">Their minimum.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Floats(Vector128<byte> codes, byte? zero, float scale, float minimum) => zero is { } middle
        ? BlockVectors.Floats(codes.AsSByte() - Vector128.Create((sbyte)middle)) * scale
        : (BlockVectors.Floats(codes.AsSByte()) * scale) + Vector512.Create(minimum);

    /// <summary>The low halves of sixteen bytes, then the high ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Nibbles(byte* quants)
    {
        var bytes = Vector128.Load(quants);
        return Vector256.Create(bytes, (bytes.AsUInt16() >>> 4).AsByte()) & Vector256.Create((byte)0xF);
    }

    /// <summary>Four bits of 32 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Nibbles(byte* quants, int shift) => (Vector256.Load(quants).AsUInt16() >>> shift).AsByte() & Vector256.Create((byte)0xF);

    /// <summary>Four bits of 64 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Nibbles(Vector512<byte> quants, int shift) => (quants.AsUInt16() >>> shift).AsByte() & Vector512.Create((byte)0xF);

    /// <summary>Two bits of 32 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Pairs(byte* quants, int shift) => (Vector256.Load(quants).AsUInt16() >>> shift).AsByte() & Vector256.Create((byte)3);

    /// <summary>Bits of the same 32 bytes twice, those of the second time from another place on.</summary>
    /// <param name="quants">The bytes.</param>
    /// <param name="first">The first time's lowest bit.</param>
    /// <param name="second">The second time's.</param>
    /// <param name="mask">What of each byte is wanted then.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Twice(byte* quants, int first, int second, byte mask)
    {
        var bytes = Vector256.Load(quants);
        var places = Vector512.Create(Vector256.Create((ushort)first), Vector256.Create((ushort)second));
        return Avx512BW.ShiftRightLogicalVariable(Vector512.Create(bytes, bytes).AsUInt16(), places).AsByte() & Vector512.Create(mask);
    }

    /// <summary>One bit of 32 bytes, at another place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Bit(byte* bits, int bit, byte value) => ~Vector256.Equals(Vector256.Load(bits) & Vector256.Create((byte)(1 << bit)), Vector256<byte>.Zero) & Vector256.Create(value);

    /// <summary>32 bits in a row, spread over as many bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Spread(uint bits, byte value)
    {
        var places = Vector256.Create(0L, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303).AsByte();
        var each = Vector256.Create(0x8040201008040201UL).AsByte();
        // Within a half of the vector all four bytes are at hand.
        var bytes = Vector256.Create(Vector128.Shuffle(Vector128.Create(bits).AsByte(), places.GetLower()), Vector128.Shuffle(Vector128.Create(bits).AsByte(), places.GetUpper()));
        return Vector256.Equals(bytes & each, each) & Vector256.Create(value);
    }

    /// <summary>Sixteen bits in a row of each of four numbers, the low or the high ones, spread over as many bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Spread(uint a, uint b, uint c, uint d, bool isHigh, byte value)
    {
        var fours = Avx512F.PermuteVar16x32(Vector128.Create(a, b, c, d).ToVector256Unsafe().ToVector512Unsafe(), Fours);
        var place = isHigh ? 0x0202020202020202UL : 0;
        var bytes = Avx512BW.Shuffle(fours.AsByte(), Vector512.Create(Vector256.Create(Vector128.Create(place, place + 0x0101010101010101))).AsByte());
        var each = Vector512.Create(0x8040201008040201UL).AsByte();
        return Vector512.Equals(bytes & each, each) & Vector512.Create(value);
    }

    /// <summary>Each of four numbers in a quarter of the vector.</summary>
    public static Vector512<uint> Fours => Vector512.Create(0u, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);

    /// <summary>Four numbers of sixteen bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Singles(Half a, Half b, Half c, Half d) =>
        Singles(Vector128.Create(BitConverter.HalfToUInt16Bits(a), (uint)BitConverter.HalfToUInt16Bits(b), BitConverter.HalfToUInt16Bits(c), BitConverter.HalfToUInt16Bits(d)));

    /// <summary>Two numbers of sixteen bits of each of four blocks, which lie side by side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector128<float> First, Vector128<float> Second) Pairs(Half* a, Half* b, Half* c, Half* d)
    {
        var bits = Vector128.Create(*(uint*)a, *(uint*)b, *(uint*)c, *(uint*)d);
        return (Singles(bits & Vector128.Create(0xFFFFu)), Singles(bits >>> 16));
    }

    // Of numbers in the low halves.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Singles(Vector128<uint> bits)
    {
        const uint LeastNormal = 0x400, LargestFinite = 0x7BFF, ExponentBias = 112u << 23;
        var magnitude = bits & Vector128.Create(0x7FFFu);
        var more = Vector128.GreaterThan(magnitude.AsInt32(), Vector128.Create((int)LargestFinite)).AsUInt32() & Vector128.Create(ExponentBias);
        var normal = (magnitude << 13) + Vector128.Create(ExponentBias) + more;
        var small = Vector128.ConvertToSingle(magnitude.AsInt32()) * BlockVectors.LeastHalf;
        var value = Vector128.ConditionalSelect(Vector128.LessThan(magnitude.AsInt32(), Vector128.Create((int)LeastNormal)).AsSingle(), small, normal.AsSingle());
        return (value.AsUInt32() | ((bits & Vector128.Create(0x8000u)) << 16)).AsSingle();
    }
}
