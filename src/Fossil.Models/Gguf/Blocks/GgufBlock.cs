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
        new Written<Q4_0>(), new Written<Q4_1>(), new Written<Q5_0>(), new Written<Q5_1>(), new Written<Q8_0>(),
        new Read<Q2_K>(), new Read<Q3_K>(), new Read<Q4_K>(), new Read<Q5_K>(), new Read<Q6_K>(),
        new Read<TQ1_0>(), new Read<TQ2_0>(),
        new Written<MXFP4>(), new Read<NVFP4>(),
        new Read<IQ1_S>(), new Read<IQ1_M>(), new Read<IQ2_XXS>(), new Read<IQ2_XS>(), new Read<IQ2_S>(), new Read<IQ3_XXS>(), new Read<IQ3_S>(),
        new Read<IQ4_NL>(), new Read<IQ4_XS>(),
    }.ToDictionary(block => block.Type);

    /// <summary>The types that are written, in the order of their numbers.</summary>
    public static IEnumerable<GgufTensorType> WrittenTypes => All.Values.Where(block => block.IsWritten).Select(block => block.Type).Order();

    /// <summary>The number that files hold.</summary>
    public GgufTensorType Type => type;

    /// <summary>Elements of a block.</summary>
    public int Elements => elements;

    /// <summary>Bytes of a block.</summary>
    public int Bytes => bytes;

    /// <summary>Whether <see cref="Quantise"/> works.</summary>
    public abstract bool IsWritten { get; }

    /// <summary>The block type of that number; null where it has no blocks, or none that are read here.</summary>
    public static GgufBlock? For(GgufTensorType type) => All.GetValueOrDefault(type);

    /// <summary>Dequantises a whole number of blocks.</summary>
    /// <param name="source">The first block, at any address.</param>
    /// <param name="destination">Room for <paramref name="count"/> floats.</param>
    /// <param name="count">A multiple of <see cref="Elements"/>.</param>
    public abstract void Dequantise(byte* source, float* destination, long count);

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

        public sealed override void Dequantise(byte* source, float* destination, long count)
        {
            for (var block = (T*)source; count > 0; block++, destination += T.Elements, count -= T.Elements) T.Dequantise(block, destination);
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
