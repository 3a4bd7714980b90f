using System.Runtime.InteropServices;

namespace Fossil.CudaCheck;

/// <summary>How elements lie in memory.</summary>
internal enum ElementType
{
    Float32,
    BFloat16,
    Float16,
    Float64,
    Int64,
    Byte,
}

/// <summary>A matrix that a kernel reads or writes.</summary>
/// <param name="name">What it is called in formulas.</param>
/// <param name="type">Its elements.</param>
/// <param name="rows">Rows.</param>
/// <param name="columns">Columns, side by side.</param>
internal sealed class Operand(string name, ElementType type, long rows, long columns)
{
    public string Name => name;

    public ElementType Type => type;

    public long Rows => rows;

    public long Columns => columns;

    /// <summary>What it holds before a launch, as its elements hold it; whole numbers for <see cref="ElementType.Int64"/>.</summary>
    public double[] Values { get; } = new double[rows * columns];

    /// <summary>What it holds behind a launch; null for what is only read.</summary>
    public double[]? Expected { get; set; }

    /// <summary>What else was rounded to the element type on the way: the size of it.</summary>
    public double Rounded { get; set; }

    public int ElementSize => type switch { ElementType.BFloat16 or ElementType.Float16 => 2, ElementType.Float32 => 4, ElementType.Byte => 1, _ => 8 };

    public long Bytes => rows * columns * ElementSize;

    /// <summary>The share of a number that one rounding to the element type may change, and sums in float32.</summary>
    public double Tolerance => type switch { ElementType.BFloat16 => 1.0 / 128, ElementType.Float16 => 1.0 / 1024, ElementType.Float64 => 1e-9, _ => 1e-5 };

    public double this[long row, long column]
    {
        get => Values[(row * columns) + column];
        set => Values[(row * columns) + column] = value;
    }

    /// <summary>Random numbers between −<paramref name="scale"/> and it.</summary>
    public Operand Fill(Random random, double scale = 1)
    {
        for (var i = 0; i < Values.Length; i++) Values[i] = Round(((random.NextDouble() * 2) - 1) * scale);
        return this;
    }

    /// <summary>A number as an element has it.</summary>
    public double Round(double value) => type switch
    {
        ElementType.BFloat16 => FromBFloat16(ToBFloat16((float)value)),
        ElementType.Float16 => (double)(Half)(float)value,
        ElementType.Float32 => (float)value,
        _ => value,
    };

    public byte[] Encode()
    {
        switch (type)
        {
            case ElementType.Float32: return MemoryMarshal.AsBytes(Array.ConvertAll(Values, value => (float)value).AsSpan()).ToArray();
            case ElementType.BFloat16: return MemoryMarshal.AsBytes(Array.ConvertAll(Values, value => ToBFloat16((float)value)).AsSpan()).ToArray();
            case ElementType.Float16: return MemoryMarshal.AsBytes(Array.ConvertAll(Values, value => (Half)(float)value).AsSpan()).ToArray();
            case ElementType.Int64: return MemoryMarshal.AsBytes(Array.ConvertAll(Values, value => (long)value).AsSpan()).ToArray();
            case ElementType.Byte: return Array.ConvertAll(Values, value => (byte)value);
            default: return MemoryMarshal.AsBytes(Values.AsSpan()).ToArray();
        }
    }

    public double[] Decode(ReadOnlySpan<byte> bytes) => type switch
    {
        ElementType.Float32 => Array.ConvertAll(MemoryMarshal.Cast<byte, float>(bytes).ToArray(), value => (double)value),
        ElementType.BFloat16 => Array.ConvertAll(MemoryMarshal.Cast<byte, ushort>(bytes).ToArray(), FromBFloat16),
        ElementType.Float16 => Array.ConvertAll(MemoryMarshal.Cast<byte, Half>(bytes).ToArray(), value => (double)value),
        ElementType.Int64 => Array.ConvertAll(MemoryMarshal.Cast<byte, long>(bytes).ToArray(), value => (double)value),
        _ => MemoryMarshal.Cast<byte, double>(bytes).ToArray(),
    };

    /// <summary>To nearest, ties to even.</summary>
    private static ushort ToBFloat16(float value)
    {
        var word = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((word + 0x7fff + ((word >> 16) & 1)) >> 16);
    }

    private static double FromBFloat16(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);
}
