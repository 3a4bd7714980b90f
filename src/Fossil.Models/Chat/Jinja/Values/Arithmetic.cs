using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Python's arithmetic on numbers, strings and lists.</summary>
internal static class Arithmetic
{
    /// <summary>Bits of the largest integer, and elements of the longest string or list, that a template may compute.</summary>
    private const int MaxBits = 1 << 16, MaxElements = 1 << 24;

    public static object Negate(object value) => value switch
    {
        double number => -number,
        Undefined missing => throw missing.Error(),
        _ => Python.TryInteger(value, out var integer) ? -integer : throw JinjaError.Type($"a {Python.TypeName(value)} has no sign."),
    };

    public static object Plus(object value) => value switch
    {
        double number => number,
        Undefined missing => throw missing.Error(),
        _ => Python.TryInteger(value, out var integer) ? integer : throw JinjaError.Type($"a {Python.TypeName(value)} has no sign."),
    };

    /// <summary><c>+ - * / // % **</c></summary>
    public static object Compute(string operation, object left, object right)
    {
        if (operation == "%" && left is MarkedText format) return PercentFormat.Format(format, right);
        if (left is Undefined missing || (missing = (right as Undefined)!) is not null) throw missing.Error();
        var result = operation switch
        {
            "+" => Add(left, right),
            "*" => Repeat(left, right) ?? Repeat(right, left),
            _ => null,
        };
        if (result is not null) return result;
        var (isLeft, isRight) = (Python.TryInteger(left, out var a), Python.TryInteger(right, out var b));
        if (isLeft && isRight) return OfIntegers(operation, a, b);
        if ((isLeft || left is double) && (isRight || right is double)) return OfFloats(operation, left is double x ? x : ToDouble(a), right is double y ? y : ToDouble(b));
        throw JinjaError.Type($"'{operation}' is not supported between {Python.TypeName(left)} and {Python.TypeName(right)}.");
    }

    /// <summary>The float nearest to an integer.</summary>
    public static double ToDouble(BigInteger integer)
    {
        var value = ExactFloat.Nearest(integer);
        return double.IsInfinity(value) ? throw JinjaError.Value("an integer is too large for a float.") : value;
    }

    private static object? Add(object left, object right) => (left, right) switch
    {
        (MarkedText { IsMarkup: true } x, MarkedText y) => Concat(x, Filters.Escape(y)).AsMarkup(),
        (MarkedText x, MarkedText { IsMarkup: true } y) => Concat(Filters.Escape(x), y).AsMarkup(),
        (MarkedText x, MarkedText y) => Concat(x, y),
        (PythonTuple x, PythonTuple y) => new PythonTuple([.. x, .. y]),
        (PythonList { IsTuple: false } x, PythonList { IsTuple: false } y) => new PythonList([.. x, .. y]),
        _ => null,
    };

    private static MarkedText Concat(MarkedText left, MarkedText right) => new MarkedTextBuilder().Append(left).Append(right).ToText();

    private static object? Repeat(object value, object times)
    {
        if (value is not (MarkedText or PythonList) || !Python.TryInteger(times, out var count)) return null;
        if (count < 0) count = 0;
        if (count * (value is MarkedText whole ? whole.Value.Length : ((PythonList)value).Count) > MaxElements) throw new JinjaError(ChatTemplateErrorKind.Limit, $"'*' would make more than {MaxElements} elements.");
        if (value is MarkedText text)
        {
            var result = new MarkedTextBuilder();
            if (!text.IsEmpty)
            {
                for (var i = 0; i < count; i++) result.Append(text);
            }

            return result.ToText(text.IsMarkup);
        }

        var list = (PythonList)value;
        object[] items = list.Count == 0 ? [] : [.. Enumerable.Range(0, (int)count).SelectMany(_ => list)];
        return list.IsTuple ? new PythonTuple(items) : new PythonList(items);
    }

    private static object OfIntegers(string operation, BigInteger a, BigInteger b)
    {
        if (operation is "/" or "//" or "%" && b.IsZero) throw new JinjaError(ChatTemplateErrorKind.ZeroDivision, "division by zero.");
        switch (operation)
        {
            case "+":
                return Checked(a + b);
            case "-":
                return Checked(a - b);
            case "*":
                return Checked(a * b);
            case "/":
                return ExactFloat.Quotient(a, b);
            case "//":
                return FloorDivide(a, b).Quotient;
            case "%":
                return FloorDivide(a, b).Remainder;
            default:
                if (b < 0) return a.IsZero ? throw new JinjaError(ChatTemplateErrorKind.ZeroDivision, "zero has no negative powers.") : OfFloats("**", ToDouble(a), ToDouble(b));
                if (b > MaxBits || (!a.IsZero && BigInteger.Abs(a) > 1 && b * (long)BigInteger.Abs(a).GetBitLength() > MaxBits)) throw TooLarge();
                return BigInteger.Pow(a, (int)b);
        }
    }

    private static BigInteger Checked(BigInteger value) => value.GetBitLength() <= MaxBits ? value : throw TooLarge();

    private static JinjaError TooLarge() => new(ChatTemplateErrorKind.Limit, $"an integer would have more than {MaxBits} bits.");

    private static (BigInteger Quotient, BigInteger Remainder) FloorDivide(BigInteger a, BigInteger b)
    {
        var quotient = BigInteger.DivRem(a, b, out var remainder);
        return !remainder.IsZero && remainder.Sign != b.Sign ? (quotient - 1, remainder + b) : (quotient, remainder);
    }

    private static object OfFloats(string operation, double a, double b)
    {
        if (operation is "/" or "//" or "%" && b == 0) throw new JinjaError(ChatTemplateErrorKind.ZeroDivision, "division by zero.");
        switch (operation)
        {
            case "+":
                return a + b;
            case "-":
                return a - b;
            case "*":
                return a * b;
            case "/":
                return a / b;
            case "//":
                return Math.Floor((a - Modulo(a, b)) / b);
            case "%":
                return Modulo(a, b);
            default:
                if (a == 0 && b < 0) throw new JinjaError(ChatTemplateErrorKind.ZeroDivision, "zero has no negative powers.");
                if (a < 0 && double.IsFinite(b) && Math.Floor(b) != b) throw JinjaError.Type("complex numbers are not supported.");
                var power = Math.Pow(a, b);
                return double.IsInfinity(power) && double.IsFinite(a) && double.IsFinite(b) ? throw JinjaError.Value("a power is too large for a float.") : power;
        }
    }

    private static double Modulo(double a, double b)
    {
        var remainder = a % b;
        if (remainder == 0) return double.CopySign(0, b);
        return remainder < 0 != b < 0 ? remainder + b : remainder;
    }
}
