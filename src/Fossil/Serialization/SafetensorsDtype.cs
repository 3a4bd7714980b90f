using static TorchSharp.torch;

namespace Fossil.Serialization;

/// <summary>
/// The dtypes of the safetensors format, in the order of its library's <c>Dtype</c>: a file's tensors are sorted by it, largest first.
/// </summary>
public enum SafetensorsDtype
{
#pragma warning disable CS1591 // The names are the format's own.
    BOOL,
    F4,
    F6_E2M3,
    F6_E3M2,
    U8,
    I8,
    F8_E5M2,
    F8_E4M3,
    F8_E8M0,
    F8_E4M3FNUZ,
    F8_E5M2FNUZ,
    I16,
    U16,
    F16,
    BF16,
    I32,
    U32,
    F32,
    C64,
    F64,
    I64,
    U64,
#pragma warning restore CS1591
}

/// <summary>How the format's dtypes and libtorch's correspond.</summary>
internal static class SafetensorsDtypes
{
    private static readonly (SafetensorsDtype Dtype, int Bits, ScalarType? Torch)[] Table =
    [
        (SafetensorsDtype.BOOL, 8, ScalarType.Bool),
        (SafetensorsDtype.F4, 4, null),
        (SafetensorsDtype.F6_E2M3, 6, null),
        (SafetensorsDtype.F6_E3M2, 6, null),
        (SafetensorsDtype.U8, 8, ScalarType.Byte),
        (SafetensorsDtype.I8, 8, ScalarType.Int8),

        // libtorch numbers these as follows; TorchSharp's enumeration has no names for them.
        (SafetensorsDtype.F8_E5M2, 8, (ScalarType)23),
        (SafetensorsDtype.F8_E4M3, 8, (ScalarType)24),
        (SafetensorsDtype.F8_E8M0, 8, (ScalarType)44),
        (SafetensorsDtype.F8_E4M3FNUZ, 8, (ScalarType)26),
        (SafetensorsDtype.F8_E5M2FNUZ, 8, (ScalarType)25),
        (SafetensorsDtype.I16, 16, ScalarType.Int16),
        (SafetensorsDtype.U16, 16, (ScalarType)27),
        (SafetensorsDtype.F16, 16, ScalarType.Float16),
        (SafetensorsDtype.BF16, 16, ScalarType.BFloat16),
        (SafetensorsDtype.I32, 32, ScalarType.Int32),
        (SafetensorsDtype.U32, 32, (ScalarType)28),
        (SafetensorsDtype.F32, 32, ScalarType.Float32),
        (SafetensorsDtype.C64, 64, ScalarType.ComplexFloat32),
        (SafetensorsDtype.F64, 64, ScalarType.Float64),
        (SafetensorsDtype.I64, 64, ScalarType.Int64),
        (SafetensorsDtype.U64, 64, (ScalarType)29),
    ];

    private static readonly Dictionary<string, SafetensorsDtype> ByName = Table.ToDictionary(row => row.Dtype.ToString(), row => row.Dtype, StringComparer.Ordinal);

    /// <summary>The dtype of that exact name; false where the format knows none.</summary>
    public static bool TryParse(string name, out SafetensorsDtype dtype) => ByName.TryGetValue(name, out dtype);

    /// <summary>Bits of one element.</summary>
    public static int BitSize(this SafetensorsDtype dtype) => Table[(int)dtype].Bits;

    /// <summary>Whether values of the dtype are numbers with a fraction that libtorch converts.</summary>
    public static bool IsFloatingPoint(this SafetensorsDtype dtype) => dtype is SafetensorsDtype.F16 or SafetensorsDtype.BF16 or SafetensorsDtype.F32 or SafetensorsDtype.F64 or SafetensorsDtype.F8_E5M2 or SafetensorsDtype.F8_E4M3;

    /// <summary>The dtype in libtorch, null where it holds none.</summary>
    public static ScalarType? ToTorch(this SafetensorsDtype dtype) => Table[(int)dtype].Torch;

    /// <summary>The dtype in the format, null where it has none.</summary>
    public static SafetensorsDtype? FromTorch(ScalarType dtype)
    {
        foreach (var row in Table)
        {
            if (row.Torch == dtype) return row.Dtype;
        }

        return null;
    }

    /// <summary>Bytes of a tensor; false where the product overflows or is no whole number of bytes.</summary>
    public static bool TryGetByteCount(this SafetensorsDtype dtype, ReadOnlySpan<long> shape, out long bytes)
    {
        // A UInt128 holds one product of an accepted count and a dimension, so the check comes before any overflow.
        UInt128 count = 1;
        bytes = 0;
        foreach (var dimension in shape)
        {
            count *= (ulong)dimension;
            if (count > long.MaxValue) return false;
        }

        var bits = count * (uint)dtype.BitSize();
        if (bits % 8 != 0 || bits / 8 > long.MaxValue) return false;
        bytes = (long)(bits / 8);
        return true;
    }
}
