namespace Fossil.Models.Gguf;

/// <summary>The types of metadata values, with the numbers that files hold.</summary>
public enum GgufValueType
{
#pragma warning disable CS1591 // The names are the format's own.
    UInt8 = 0,
    Int8 = 1,
    UInt16 = 2,
    Int16 = 3,
    UInt32 = 4,
    Int32 = 5,
    Float32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    UInt64 = 10,
    Int64 = 11,
    Float64 = 12,
#pragma warning restore CS1591
}

/// <summary>A metadata value: its type in the file, and the value as .NET's type of the same width.</summary>
/// <remarks>
/// An array's <see cref="Value"/> is a .NET array of the element's type (<c>string[]</c>, <c>int[]</c>, …; <c>GgufValue[]</c> where
/// arrays are nested). Two values are equal when type, element type and contents are.
/// </remarks>
public sealed class GgufValue : IEquatable<GgufValue>
{
    private GgufValue(GgufValueType type, GgufValueType? elementType, object value)
    {
        Type = type;
        ElementType = elementType;
        Value = value;
    }

    /// <summary>The type.</summary>
    public GgufValueType Type { get; }

    /// <summary>The elements' type of an array; null for other types.</summary>
    public GgufValueType? ElementType { get; }

    /// <summary>The value.</summary>
    public object Value { get; }

    /// <summary>A scalar or string of the type that the format has for <paramref name="value"/>.</summary>
    /// <exception cref="ArgumentException">The format has no such type.</exception>
    public static GgufValue Of(object value) => new(TypeOf(value.GetType()), null, value);

    /// <summary>An array.</summary>
    /// <exception cref="ArgumentException">The format has no such type.</exception>
    public static GgufValue OfArray(Array values) => new(GgufValueType.Array, TypeOf(values.GetType().GetElementType()!), values);

    /// <inheritdoc />
    public bool Equals(GgufValue? other)
    {
        if (other is null || Type != other.Type || ElementType != other.ElementType) return false;
        if (Value is not Array values) return Value.Equals(other.Value);
        var others = (Array)other.Value;
        return values.Length == others.Length && values.Cast<object>().SequenceEqual(others.Cast<object>());
    }

    /// <inheritdoc />
    public override bool Equals(object? obj) => Equals(obj as GgufValue);

    /// <inheritdoc />
    public override int GetHashCode() => HashCode.Combine(Type, ElementType, Value is Array values ? values.Length : Value.GetHashCode());

    /// <inheritdoc />
    public override string ToString() => Value is Array values ? $"{ElementType}[{values.Length}]" : $"{Value}";

    private static GgufValueType TypeOf(Type type) => System.Type.GetTypeCode(type) switch
    {
        TypeCode.Byte => GgufValueType.UInt8,
        TypeCode.SByte => GgufValueType.Int8,
        TypeCode.UInt16 => GgufValueType.UInt16,
        TypeCode.Int16 => GgufValueType.Int16,
        TypeCode.UInt32 => GgufValueType.UInt32,
        TypeCode.Int32 => GgufValueType.Int32,
        TypeCode.UInt64 => GgufValueType.UInt64,
        TypeCode.Int64 => GgufValueType.Int64,
        TypeCode.Single => GgufValueType.Float32,
        TypeCode.Double => GgufValueType.Float64,
        TypeCode.Boolean => GgufValueType.Bool,
        TypeCode.String => GgufValueType.String,
        _ when type == typeof(GgufValue) => GgufValueType.Array,
        _ => throw new ArgumentException($"GGUF has no type for {type}.", nameof(type)),
    };
}
