using System.Globalization;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <summary>C# arithmetic on constants. Each method returns null where the result is an exception at run time, or not known here.</summary>
internal static class Folding
{
    /// <summary>The result of <paramref name="kind"/>; both operands have the promoted type already.</summary>
    public static object? Binary(BinaryOperatorKind kind, object? left, object? right, bool isChecked)
    {
        if (kind is BinaryOperatorKind.Equals) return Equals(left, right);
        if (kind is BinaryOperatorKind.NotEquals) return !Equals(left, right);
        return (left, right) switch
        {
            (int a, int b) when kind is BinaryOperatorKind.UnsignedRightShift => (int)((uint)a >> (b & 31)),
            (long a, int b) when kind is BinaryOperatorKind.UnsignedRightShift => (long)((ulong)a >> (b & 63)),
            (int a, int b) => Integers(kind, a, b) is { } result ? Fit(result, isChecked, int.MinValue, int.MaxValue, wrapped => (int)wrapped) : Compare(kind, a.CompareTo(b)),
            (uint a, uint b) => Integers(kind, a, b) is { } result ? Fit(result, isChecked, uint.MinValue, uint.MaxValue, wrapped => (uint)wrapped) : Compare(kind, a.CompareTo(b)),
            (long a, long b) => Longs(kind, a, b, isChecked) ?? Compare(kind, a.CompareTo(b)),
            (long a, int b) when kind is BinaryOperatorKind.LeftShift or BinaryOperatorKind.RightShift => Integers(kind, a, b),
            (uint a, int b) when kind is BinaryOperatorKind.LeftShift or BinaryOperatorKind.RightShift => Integers(kind, a, b) is { } result ? unchecked((uint)result) : null,
            (ulong a, ulong b) when a <= long.MaxValue && b <= long.MaxValue => Longs(kind, (long)a, (long)b, true) is long result and >= 0 ? (ulong)result : Compare(kind, a.CompareTo(b)),
            (string a, string b) when kind is BinaryOperatorKind.Add => a + b,
            (double a, double b) => Doubles(kind, a, b) is { } result ? result : Compare(kind, a, b),
            (float a, float b) => Doubles(kind, a, b) is { } result ? (float)result : Compare(kind, a, b),
            (bool a, bool b) => Booleans(kind, a, b),
            (char a, char b) => Compare(kind, a.CompareTo(b)),
            _ => null,
        };
    }

    /// <summary>The result of a unary operator.</summary>
    public static object? Unary(UnaryOperatorKind kind, object? operand) => (kind, operand) switch
    {
        (UnaryOperatorKind.Plus, not null) => operand,
        (UnaryOperatorKind.Minus, int value) => unchecked(-value),
        (UnaryOperatorKind.Minus, long value) => unchecked(-value),
        (UnaryOperatorKind.Minus, double value) => -value,
        (UnaryOperatorKind.Minus, float value) => -value,
        (UnaryOperatorKind.BitwiseNegation, int value) => ~value,
        (UnaryOperatorKind.BitwiseNegation, long value) => ~value,
        (UnaryOperatorKind.Not, bool value) => !value,
        _ => null,
    };

    /// <summary><paramref name="value"/> as <paramref name="type"/>, by C#'s built-in conversions.</summary>
    public static object? Convert(object? value, ITypeSymbol? type, bool isChecked)
    {
        if (value is null or string or bool) return value;
        if (type is INamedTypeSymbol { OriginalDefinition.SpecialType: SpecialType.System_Nullable_T, TypeArguments: [var underlying] }) type = underlying;
        if (type is INamedTypeSymbol { EnumUnderlyingType: { } enumerated }) type = enumerated;
        var integer = value switch
        {
            int number => number,
            long number => number,
            uint number => number,
            ulong number and <= long.MaxValue => (long)number,
            short number => number,
            ushort number => number,
            byte number => number,
            sbyte number => number,
            char number => number,
            double number when number is > long.MinValue and < long.MaxValue => (long)number,
            float number when number is > long.MinValue and < long.MaxValue => (long)number,
            decimal number when number is > long.MinValue and < long.MaxValue => (long)number,
            _ => (long?)null,
        };
        return type?.SpecialType switch
        {
            SpecialType.System_Int32 => Fit(integer, isChecked, int.MinValue, int.MaxValue, wrapped => (int)wrapped),
            SpecialType.System_Int64 => integer,
            SpecialType.System_UInt64 when integer is >= 0 => (ulong)integer,
            SpecialType.System_UInt32 => Fit(integer, isChecked, uint.MinValue, uint.MaxValue, wrapped => (uint)wrapped),
            SpecialType.System_Int16 => Fit(integer, isChecked, short.MinValue, short.MaxValue, wrapped => (short)wrapped),
            SpecialType.System_UInt16 => Fit(integer, isChecked, ushort.MinValue, ushort.MaxValue, wrapped => (ushort)wrapped),
            SpecialType.System_Byte => Fit(integer, isChecked, byte.MinValue, byte.MaxValue, wrapped => (byte)wrapped),
            SpecialType.System_SByte => Fit(integer, isChecked, sbyte.MinValue, sbyte.MaxValue, wrapped => (sbyte)wrapped),
            SpecialType.System_Double => Number(value),
            SpecialType.System_Single => Number(value) is { } number ? (float)number : null,
            SpecialType.System_Object or SpecialType.System_ValueType => value,
            _ => null,
        };
    }

    /// <summary>The default of a type, where it is a constant.</summary>
    public static Constant? Default(ITypeSymbol? type)
    {
        if (type is null) return null;
        if (type is INamedTypeSymbol { OriginalDefinition.SpecialType: SpecialType.System_Nullable_T } || type.IsReferenceType) return Known(null);
        return type.SpecialType switch
        {
            SpecialType.System_Int32 => Known(0),
            SpecialType.System_Int64 => Known(0L),
            SpecialType.System_UInt32 => Known(0u),
            SpecialType.System_Double => Known(0.0),
            SpecialType.System_Single => Known(0f),
            SpecialType.System_Boolean => Known(false),
            _ => null,
        };
        static Constant Known(object? content) => new(content, Provenance.Independent);
    }

    /// <summary>The integer that <paramref name="value"/> is; null where it is none.</summary>
    public static long? Integer(object? value) => value switch
    {
        int number => number,
        long number => number,
        uint number => number,
        short number => number,
        ushort number => number,
        byte number => number,
        sbyte number => number,
        ulong number and <= long.MaxValue => (long)number,
        _ => null,
    };

    private static double? Number(object value) => value switch
    {
        double number => number,
        float number => number,
        decimal number => (double)number,
        _ => Integer(value) ?? (value is char symbol ? symbol : null),
    };

    /// <summary>Whole-number arithmetic in 64 bits, for operands of at most 32 bits.</summary>
    private static long? Integers(BinaryOperatorKind kind, long a, long b) => kind switch
    {
        BinaryOperatorKind.Add => a + b,
        BinaryOperatorKind.Subtract => a - b,
        BinaryOperatorKind.Multiply => unchecked(a * b),
        BinaryOperatorKind.Divide when b is not (0 or -1) => a / b,
        BinaryOperatorKind.Divide when b is -1 => unchecked(-a),
        BinaryOperatorKind.Remainder when b is not (0 or -1) => a % b,
        BinaryOperatorKind.Remainder when b is -1 => 0,
        BinaryOperatorKind.LeftShift when b is >= 0 and < 32 => a << (int)b,
        BinaryOperatorKind.RightShift when b is >= 0 and < 32 => a >> (int)b,
        BinaryOperatorKind.And => a & b,
        BinaryOperatorKind.Or => a | b,
        BinaryOperatorKind.ExclusiveOr => a ^ b,
        _ => null,
    };

    private static object? Longs(BinaryOperatorKind kind, long a, long b, bool isChecked)
    {
        // An exact result tells whether 64 bits are enough.
        if (kind is BinaryOperatorKind.Add or BinaryOperatorKind.Subtract or BinaryOperatorKind.Multiply)
        {
            var exact = kind switch
            {
                BinaryOperatorKind.Add => (decimal)a + b,
                BinaryOperatorKind.Subtract => (decimal)a - b,
                _ => Math.Abs((double)a * b) < 1e18 ? (decimal)a * b : decimal.MaxValue,
            };
            if (exact is < long.MinValue or > long.MaxValue) return isChecked ? null : Integers(kind, a, b);
            return (long)exact;
        }
        return Integers(kind, a, b);
    }

    private static double? Doubles(BinaryOperatorKind kind, double a, double b) => kind switch
    {
        BinaryOperatorKind.Add => a + b,
        BinaryOperatorKind.Subtract => a - b,
        BinaryOperatorKind.Multiply => a * b,
        BinaryOperatorKind.Divide => a / b,
        BinaryOperatorKind.Remainder => a % b,
        _ => null,
    };

    private static object? Booleans(BinaryOperatorKind kind, bool a, bool b) => kind switch
    {
        BinaryOperatorKind.And or BinaryOperatorKind.ConditionalAnd => a && b,
        BinaryOperatorKind.Or or BinaryOperatorKind.ConditionalOr => a || b,
        BinaryOperatorKind.ExclusiveOr => a ^ b,
        _ => null,
    };

    private static object? Compare(BinaryOperatorKind kind, double a, double b) =>
        double.IsNaN(a) || double.IsNaN(b) ? false : Compare(kind, a.CompareTo(b));

    private static object? Compare(BinaryOperatorKind kind, int order) => kind switch
    {
        BinaryOperatorKind.LessThan => order < 0,
        BinaryOperatorKind.LessThanOrEqual => order <= 0,
        BinaryOperatorKind.GreaterThan => order > 0,
        BinaryOperatorKind.GreaterThanOrEqual => order >= 0,
        _ => null,
    };

    private static object? Fit<T>(long? value, bool isChecked, long least, long most, Func<long, T> wrap) where T : struct
    {
        if (value is not { } number || (isChecked && (number < least || number > most))) return null;
        return unchecked(wrap(number));
    }

    /// <summary>A number as messages show it.</summary>
    public static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
