using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;
using Fossil.Models.Kernels;

namespace Fossil.Models.Gguf.Blocks;

/// <summary>
/// A block of a quantised type: a struct laid out as the file's bytes. One declaration gives the type's number, the elements of a block and how they
/// are dequantised; the size is the struct's.
/// </summary>
/// <typeparam name="TSelf">The struct itself.</typeparam>
internal unsafe interface IGgufBlock<TSelf>
    where TSelf : unmanaged, IGgufBlock<TSelf>
{
    /// <summary>The number that files hold.</summary>
    static abstract GgufTensorType Type { get; }

    /// <summary>Elements of a block.</summary>
    static abstract int Elements { get; }

    /// <summary>Dequantises a block, in the order of operations of ggml's reference, so that the results are its values.</summary>
    /// <param name="block">The block, at any address.</param>
    /// <param name="values">Room for <see cref="Elements"/> floats.</param>
    static abstract void Dequantise(TSelf* block, float* values);
}

/// <summary>A type that is written too.</summary>
/// <typeparam name="TSelf">The struct itself.</typeparam>
internal unsafe interface IGgufWrittenBlock<TSelf> : IGgufBlock<TSelf>
    where TSelf : unmanaged, IGgufWrittenBlock<TSelf>
{
    /// <summary>Quantises <see cref="IGgufBlock{TSelf}.Elements"/> floats to the bytes of ggml's reference.</summary>
    static abstract void Quantise(float* values, TSelf* block);
}

/// <summary>A block type as data, for files that name it.</summary>
internal abstract unsafe class GgufBlock(GgufTensorType type, int elements, int bytes)
{
    private static readonly Dictionary<GgufTensorType, GgufBlock> All = new GgufBlock[]
    {
        new Written<Q4_0> { Codes = new NibbleProduct<Q4_0>(), Rounded = new RoundedBlocks<Q4_0>() }, new Written<Q4_1> { Codes = new NibbleProduct<Q4_1>(), Rounded = new RoundedBlocks<Q4_1>() }, new Written<Q5_0> { Codes = new NibbleProduct<Q5_0>(), Rounded = new RoundedBlocks<Q5_0>() },
        new Written<Q5_1> { Codes = new NibbleProduct<Q5_1>(), Rounded = new RoundedBlocks<Q5_1>() }, new Written<Q8_0> { Codes = new CodeProduct<Q8_0>(), Rounded = new RoundedBlocks<Q8_0>() },
        new Read<Q2_K> { Codes = new HalfCodeProduct<Q2_K>(), Rounded = new SuperRoundedBlocks<Q2_K>() }, new Read<Q3_K> { Codes = new HalfCodeProduct<Q3_K>(), Rounded = new SuperRoundedBlocks<Q3_K>() }, new Read<Q4_K> { Codes = new GroupCodeProduct<Q4_K>(), Rounded = new SuperRoundedBlocks<Q4_K>() },
        new Read<Q5_K> { Codes = new GroupCodeProduct<Q5_K>(), Rounded = new SuperRoundedBlocks<Q5_K>() }, new Read<Q6_K> { Codes = new HalfCodeProduct<Q6_K>(), Rounded = new SuperRoundedBlocks<Q6_K>() },
        new Read<TQ1_0>(), new Read<TQ2_0> { Codes = new GroupCodeProduct<TQ2_0>(), Rounded = new SuperRoundedBlocks<TQ2_0>() },
        new Written<MXFP4> { Codes = new NibbleProduct<MXFP4>(), Rounded = new RoundedBlocks<MXFP4>() }, new Read<NVFP4>(),
        new Read<IQ1_S>(), new Read<IQ1_M>(), new Read<IQ2_XXS>(), new Read<IQ2_XS>(), new Read<IQ2_S>(), new Read<IQ3_XXS>(), new Read<IQ3_S>(),
        new Read<IQ4_NL> { Codes = new NibbleProduct<IQ4_NL>(), Rounded = new RoundedBlocks<IQ4_NL>() }, new Read<IQ4_XS> { Codes = new GroupCodeProduct<IQ4_XS>(), Rounded = new SuperRoundedBlocks<IQ4_XS>() },
    }.ToDictionary(block => block.Type);

    private const int MostElements = 256;

    /// <summary>The types that are written, in the order of their numbers.</summary>
    public static IEnumerable<GgufTensorType> WrittenTypes => All.Values.Where(block => block.IsWritten).Select(block => block.Type).Order();

    /// <summary>The number that files hold.</summary>
    public GgufTensorType Type => type;

    /// <summary>Elements of a block.</summary>
    public int Elements => elements;

    /// <summary>Bytes of a block.</summary>
    public int Bytes => bytes;

    /// <summary>The products in whole numbers; null where elements are no codes with a scale.</summary>
    public CodeProduct? Codes { get; private init; }

    /// <summary>What writes the blocks out as bfloat16 at once; null where elements are no codes with a scale.</summary>
    private RoundedBlocks? Rounded { get; init; }

    /// <summary>Whether <see cref="Quantise"/> works.</summary>
    public abstract bool IsWritten { get; }

    /// <summary>The block type of that number; null where it has no blocks, or none that are read here.</summary>
    public static GgufBlock? For(GgufTensorType type) => All.GetValueOrDefault(type);

    /// <summary>Dequantises a whole number of blocks.</summary>
    /// <param name="source">The first block, at any address.</param>
    /// <param name="destination">Room for <paramref name="count"/> floats.</param>
    /// <param name="count">A multiple of <see cref="Elements"/>.</param>
    public abstract void Dequantise(byte* source, float* destination, long count);

    /// <summary>Dequantises a whole number of blocks to bfloat16, each value rounded to it.</summary>
    /// <param name="source">The first block, at any address.</param>
    /// <param name="destination">Room for <paramref name="count"/> elements.</param>
    /// <param name="count">A multiple of <see cref="Elements"/>.</param>
    public abstract void Dequantise(byte* source, ushort* destination, long count);

    /// <summary>The products of a row of blocks with some vectors, in float32: each block is dequantised once, into the first cache.</summary>
    /// <param name="row">The first block, at any address.</param>
    /// <param name="count">Elements of the row, a multiple of <see cref="Elements"/>.</param>
    /// <param name="inputs">The vectors, one after the other.</param>
    /// <param name="sums">Their products with the row.</param>
    /// <param name="vectors">How many there are.</param>
    public abstract void Multiply(byte* row, long count, float* inputs, float* sums, int vectors);

    /// <summary>Whether a whole number of blocks stands for numbers alone, no NaN and no infinity.</summary>
    /// <param name="source">The first block, at any address.</param>
    /// <param name="count">Their elements.</param>
    public abstract bool IsFinite(byte* source, long count);

    /// <summary>Quantises a whole number of blocks.</summary>
    /// <param name="source">The first float.</param>
    /// <param name="destination">Room for the blocks.</param>
    /// <param name="count">A multiple of <see cref="Elements"/>.</param>
    /// <exception cref="NotSupportedException">The type is only read.</exception>
    public abstract void Quantise(float* source, byte* destination, long count);

    private class Read<T>() : GgufBlock(T.Type, T.Elements, sizeof(T))
        where T : unmanaged, IGgufBlock<T>
    {
        public override bool IsWritten => false;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public sealed override void Dequantise(byte* source, float* destination, long count)
        {
            for (var block = (T*)source; count > 0; block++, destination += T.Elements, count -= T.Elements) T.Dequantise(block, destination);
        }

        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public sealed override void Dequantise(byte* source, ushort* destination, long count)
        {
            if (RoundedBlocks.IsSupported && Rounded is { } rounded)
            {
                rounded.Write(source, destination, count);
                return;
            }

            var values = stackalloc float[MostElements];
            for (var block = (T*)source; count > 0; block++, destination += T.Elements, count -= T.Elements)
            {
                T.Dequantise(block, values);
                for (nuint i = 0; i < (nuint)T.Elements; i += Lanes.Count) BFloat16Lanes.Store512(Vector512.Load(values + i), ref *destination, i);
            }
        }

        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public sealed override bool IsFinite(byte* source, long count)
        {
            var values = stackalloc float[MostElements];
            var differences = Vector512<float>.Zero;
            for (var block = (T*)source; count > 0; block++, count -= T.Elements)
            {
                T.Dequantise(block, values);
                for (nint i = 0; i < T.Elements; i += Lanes.Count) differences += Vector512.Load(values + i) - Vector512.Load(values + i);
            }

            // Of a number 0, and of anything else NaN.
            return Vector512.EqualsAll(differences, Vector512<float>.Zero);
        }

        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public sealed override void Multiply(byte* row, long count, float* inputs, float* sums, int vectors)
        {
            if (vectors == 1) *sums = Multiply((T*)row, count, inputs);
            else Multiply((T*)row, count, inputs, sums, (nint)vectors);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static float Multiply(T* block, long count, float* input)
        {
            var values = stackalloc float[MostElements];
            Vector512<float> even = default, odd = default;
            for (var end = input + count; input < end; block++)
            {
                T.Dequantise(block, values);
                for (nint i = 0; i < T.Elements; i += 2 * Lanes.Count, input += 2 * Lanes.Count)
                {
                    even = Vector512.FusedMultiplyAdd(Vector512.Load(values + i), Vector512.Load(input), even);
                    odd = Vector512.FusedMultiplyAdd(Vector512.Load(values + i + Lanes.Count), Vector512.Load(input + Lanes.Count), odd);
                }
            }

            return Vector512.Sum(even + odd);
        }

        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Multiply(T* block, long count, float* inputs, float* sums, nint vectors)
        {
            var values = stackalloc float[MostElements];
            var totals = stackalloc Vector512<float>[(int)vectors];
            new Span<Vector512<float>>(totals, (int)vectors).Clear();
            for (long column = 0; column < count; column += T.Elements, block++)
            {
                T.Dequantise(block, values);
                for (nint vector = 0; vector < vectors; vector++)
                {
                    var input = inputs + (vector * count) + column;
                    var total = totals[vector];
                    for (nint i = 0; i < T.Elements; i += Lanes.Count) total = Vector512.FusedMultiplyAdd(Vector512.Load(values + i), Vector512.Load(input + i), total);
                    totals[vector] = total;
                }
            }

            for (nint vector = 0; vector < vectors; vector++) sums[vector] = Vector512.Sum(totals[vector]);
        }

        public override void Quantise(float* source, byte* destination, long count) => throw new NotSupportedException($"{Type} is only read.");
    }

    private sealed class Written<T> : Read<T>
        where T : unmanaged, IGgufWrittenBlock<T>
    {
        public override bool IsWritten => true;

        public override void Quantise(float* source, byte* destination, long count)
        {
            for (var block = (T*)destination; count > 0; block++, source += T.Elements, count -= T.Elements) T.Quantise(source, block);
        }
    }
}
