using Fossil.Models.Gguf.Blocks;
using static TorchSharp.torch;

namespace Fossil.Models.Gguf;

/// <summary>The tensor types of the format, with the numbers that files hold (ggml's <c>ggml_type</c>).</summary>
public enum GgufTensorType
{
#pragma warning disable CS1591 // The names are the format's own.
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q8_1 = 9,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    Q8_K = 15,
    IQ2_XXS = 16,
    IQ2_XS = 17,
    IQ3_XXS = 18,
    IQ1_S = 19,
    IQ4_NL = 20,
    IQ3_S = 21,
    IQ2_S = 22,
    IQ4_XS = 23,
    I8 = 24,
    I16 = 25,
    I32 = 26,
    I64 = 27,
    F64 = 28,
    IQ1_M = 29,
    BF16 = 30,
    TQ1_0 = 34,
    TQ2_0 = 35,
    MXFP4 = 39,
    NVFP4 = 40,
#pragma warning restore CS1591
}

/// <summary>How the types lay out their elements.</summary>
internal static class GgufTensorTypes
{
    /// <summary>Elements and bytes of one block; (0, 0) where the format knows no such type.</summary>
    public static (int Elements, int Bytes) Block(this GgufTensorType type) => type switch
    {
        GgufTensorType.I8 => (1, 1),
        GgufTensorType.F16 or GgufTensorType.BF16 or GgufTensorType.I16 => (1, 2),
        GgufTensorType.F32 or GgufTensorType.I32 => (1, 4),
        GgufTensorType.F64 or GgufTensorType.I64 => (1, 8),
        // Types that ggml uses while it computes; no weights are stored as them, but the format numbers them.
        GgufTensorType.Q8_1 => (32, 36),
        GgufTensorType.Q8_K => (256, 292),
        _ => GgufBlock.For(type) is { } block ? (block.Elements, block.Bytes) : (0, 0),
    };

    /// <summary>Bits of an element, scales included.</summary>
    public static double BitsAWeight(this GgufTensorType type) => type.Block() is (var elements, var bytes) ? bytes * 8.0 / elements : 0;

    /// <summary>The dtype of libtorch that holds the type's elements as they are; null for blocks.</summary>
    public static ScalarType? ToTorch(this GgufTensorType type) => type switch
    {
        GgufTensorType.F32 => ScalarType.Float32,
        GgufTensorType.F16 => ScalarType.Float16,
        GgufTensorType.BF16 => ScalarType.BFloat16,
        GgufTensorType.F64 => ScalarType.Float64,
        GgufTensorType.I8 => ScalarType.Int8,
        GgufTensorType.I16 => ScalarType.Int16,
        GgufTensorType.I32 => ScalarType.Int32,
        GgufTensorType.I64 => ScalarType.Int64,
        _ => null,
    };

    /// <summary>Bytes of a tensor; false where the product overflows. Dimensions are in the format's order, the row's length first.</summary>
    public static bool TryGetByteCount(this GgufTensorType type, ReadOnlySpan<long> dimensions, out long bytes)
    {
        // A UInt128 holds one product of an accepted count and a dimension, so the check comes before any overflow.
        UInt128 count = 1;
        bytes = 0;
        foreach (var dimension in dimensions)
        {
            count *= (ulong)dimension;
            if (count > long.MaxValue) return false;
        }

        var (elements, blockBytes) = type.Block();
        var total = count / (uint)elements * (uint)blockBytes;
        if (total > long.MaxValue) return false;
        bytes = (long)total;
        return true;
    }
}

/// <summary>What a file's header says about one tensor.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">How its elements are stored.</param>
/// <param name="Shape">Its dimensions in PyTorch's order: (rows, row length) for a matrix. The file holds them reversed.</param>
/// <param name="Offset">Where its bytes begin, counted from the start of the data section of its file.</param>
/// <param name="ByteCount">The number of its bytes.</param>
public sealed record GgufTensorInfo(string Name, GgufTensorType Type, IReadOnlyList<long> Shape, long Offset, long ByteCount)
{
    /// <summary>One of the tensors that are stacked along the first dimension: the same name, another part of its bytes.</summary>
    internal GgufTensorInfo Part(int index) => this with { Shape = [.. Shape.Skip(1)], Offset = Offset + (ByteCount / Shape[0] * index), ByteCount = ByteCount / Shape[0] };
}
