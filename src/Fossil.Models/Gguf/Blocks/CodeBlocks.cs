using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Fossil.Models.Gguf.Blocks;

/// <summary>A block of 32 elements that are scale · code + minimum, so that its product with codes is one of whole numbers.</summary>
/// <typeparam name="TSelf">The struct itself.</typeparam>
internal unsafe interface ICodeBlock<TSelf> : IGgufBlock<TSelf>
    where TSelf : unmanaged, ICodeBlock<TSelf>
{
    /// <summary>Blocks whose factors are read at once.</summary>
    const int AtOnce = 8;

    /// <summary>The number of the last of them.</summary>
    const int Last = AtOnce - 1;

    /// <summary>The largest code.</summary>
    static abstract byte LargestCode { get; }

    /// <summary>The code that stands for 0, in types whose elements are scale · (code - this); null where they have a minimum of their own.</summary>
    static abstract byte? Zero { get; }

    /// <summary>The codes, none negative.</summary>
    static abstract Vector256<byte> Codes(TSelf* block);

    /// <summary>Scales and minimums of <see cref="AtOnce"/> blocks in a row.</summary>
    /// <param name="blocks">The first.</param>
    /// <param name="last">The number of the last one, at most <see cref="Last"/>, which stands for those behind it too: what they are multiplied by is nothing.</param>
    static abstract (Vector256<float> Scales, Vector256<float> Minimums) Factors(TSelf* blocks, int last);
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
    /// <param name="blocks">The blocks.</param>
    /// <param name="last">The number of the last one, which stands for those behind it too.</param>
    /// <param name="isSecond">Whether they are the second halves.</param>
    static abstract Vector512<byte> Codes(Vector512<byte> nibbles, TSelf* blocks, int last, bool isSecond);
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

    /// <summary>A vector of two halves, by one instruction: <see cref="Vector512.Create(Vector256{byte}, Vector256{byte})"/> takes two.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> Join<T>(Vector256<T> low, Vector256<T> high) where T : unmanaged => Avx512F.InsertVector256(low.AsInt64().ToVector512Unsafe(), high.AsInt64(), 1).As<long, T>();

    /// <summary>A vector of two halves, as above.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<T> Join<T>(Vector128<T> low, Vector128<T> high) where T : unmanaged => Avx.InsertVector128(low.AsSingle().ToVector256Unsafe(), high.AsSingle(), 1).As<float, T>();

    /// <summary>Bits of the same 32 bytes twice, each time turned to another place.</summary>
    /// <param name="bits">The bytes.</param>
    /// <param name="first">The place that becomes the lowest the first time; below 0 what is lowest comes that much higher.</param>
    /// <param name="second">The same of the second time.</param>
    /// <param name="mask">What of each byte is wanted then: what comes in from its neighbour is elsewhere.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Twice(byte* bits, int first, int second, byte mask)
    {
        const ulong Both = 0x0000_0001_0000_0001;
        var (low, high) = ((uint)(first & 31) * Both, (uint)(second & 31) * Both);
        var places = Vector512.Create(low, low, low, low, high, high, high, high).AsUInt32();
        return Avx512F.RotateRightVariable(Avx512F.BroadcastVector256ToVector512((long*)bits).AsUInt32(), places).AsByte() & Vector512.Create(mask);
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
        const ulong Next = 0x0101_0101_0101_0101;
        var place = isHigh ? 2 * Next : 0;
        var bytes = Avx512BW.Shuffle(fours.AsByte(), Vector512.Create(place, place + Next, place, place + Next, place, place + Next, place, place + Next).AsByte());
        var each = Vector512.Create(0x8040201008040201UL).AsByte();
        return Vector512.Equals(bytes & each, each) & Vector512.Create(value);
    }

    /// <summary>Each of four numbers in a quarter of the vector.</summary>
    public static Vector512<uint> Fours => Vector512.Create(0u, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);

    /// <summary>Eight numbers of sixteen bits, <paramref name="stride"/> bytes from each other, that of the number <paramref name="last"/> for those behind it too. Put together as whole numbers: the units that multiply vectors have enough to do.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Singles(byte* first, int stride, int last)
    {
        var bits = Vector128.Create(Four(first, stride, 0, last), Four(first, stride, 4, last)).AsUInt16();
        return Singles(Avx2.IsSupported ? Avx2.ConvertToVector256Int32(bits).AsUInt32() : Vector256.Create(Vector128.WidenLower(bits), Vector128.WidenUpper(bits)));
    }

    /// <summary>Two numbers of sixteen bits, side by side, eight times.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> First, Vector256<float> Second) SinglesOfPairs(byte* first, int stride, int last)
    {
        var bits = Vector256.Create(Two(first, stride, 0, last), Two(first, stride, 2, last), Two(first, stride, 4, last), Two(first, stride, 6, last)).AsUInt32();
        return (Singles(bits & Vector256.Create(0xFFFFu)), Singles(bits >>> 16));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Four(byte* first, int stride, int number, int last) => *(ushort*)At(first, stride, number, last) | (ulong)*(ushort*)At(first, stride, number + 1, last) << 16
        | (ulong)*(ushort*)At(first, stride, number + 2, last) << 32 | (ulong)*(ushort*)At(first, stride, number + 3, last) << 48;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Two(byte* first, int stride, int number, int last) => *(uint*)At(first, stride, number, last) | (ulong)*(uint*)At(first, stride, number + 1, last) << 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* At(byte* first, int stride, int number, int last) => first + (Math.Min(number, last) * stride);

    // Of numbers in the low halves.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Singles(Vector256<uint> bits)
    {
        const uint LeastNormal = 0x400, LargestFinite = 0x7BFF, ExponentBias = 112u << 23;
        var magnitude = bits & Vector256.Create(0x7FFFu);
        var more = Vector256.GreaterThan(magnitude.AsInt32(), Vector256.Create((int)LargestFinite)).AsUInt32() & Vector256.Create(ExponentBias);
        var normal = (magnitude << 13) + Vector256.Create(ExponentBias) + more;
        var small = Vector256.ConvertToSingle(magnitude.AsInt32()) * BlockVectors.LeastHalf;
        var value = Vector256.ConditionalSelect(Vector256.LessThan(magnitude.AsInt32(), Vector256.Create((int)LeastNormal)).AsSingle(), small, normal.AsSingle());
        return (value.AsUInt32() | ((bits & Vector256.Create(0x8000u)) << 16)).AsSingle();
    }
}
