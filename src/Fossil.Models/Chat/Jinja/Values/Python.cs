using System.Globalization;
using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>What Python does with any value: its type's name, truth, equality, order, iteration and printing. Integers are <see cref="BigInteger"/>, floats <see cref="double"/>.</summary>
internal static partial class Python
{
    /// <summary>The name of a value's type, as Python's messages have it.</summary>
    public static string TypeName(object value) => value switch
    {
        None => "NoneType",
        bool => "bool",
        BigInteger => "int",
        double => "float",
        MarkedText { IsMarkup: true } => "Markup",
        MarkedText => "str",
        PythonTuple => "tuple",
        PythonList => "list",
        PythonDict => "dict",
        DictView view => "dict_" + view.Kind,
        PythonRange => "range",
        PythonGenerator => "generator",
        PythonBytes => "bytes",
        Namespace => "Namespace",
        Undefined => "Undefined",
        LoopContext => "LoopContext",
        Macro => "Macro",
        Cycler => "Cycler",
        _ => "function",
    };

    public static bool IsTrue(object value) => value switch
    {
        None or Undefined => false,
        bool truth => truth,
        BigInteger integer => !integer.IsZero,
        double number => number != 0,
        MarkedText text => !text.IsEmpty,
        PythonList list => list.Count > 0,
        PythonDict dict => dict.Count > 0,
        DictView view => view.Dict.Count > 0,
        PythonRange range => !range.Count.IsZero,
        PythonBytes bytes => bytes.Value.Length > 0,
        LoopContext loop => loop.Length > 0,
        _ => true,
    };

    /// <summary>The number behind a value: integers and booleans.</summary>
    public static bool TryInteger(object value, out BigInteger integer)
    {
        integer = value switch { BigInteger whole => whole, bool truth => truth ? BigInteger.One : BigInteger.Zero, _ => default };
        return value is BigInteger or bool;
    }

    /// <summary>An integer that fits an <see cref="int"/>, for sizes and positions.</summary>
    public static int SmallInteger(object value, string what)
    {
        if (!TryInteger(value, out var integer)) throw JinjaError.Type($"{what} must be an integer, not {TypeName(value)}.");
        return (int)BigInteger.Max(int.MinValue, BigInteger.Min(int.MaxValue, integer));
    }

    public static bool AreEqual(object left, object right)
    {
        if (TryInteger(left, out var a))
        {
            return TryInteger(right, out var b) ? a == b : right is double number && CompareExactly(a, number) == 0;
        }

        return (left, right) switch
        {
            (double x, double y) => x == y,
            (double x, _) => TryInteger(right, out var b) && CompareExactly(b, x) == 0,
            (None, None) => true,
            (MarkedText x, MarkedText y) => x.Value == y.Value,
            (Undefined, Undefined) => true,
            (PythonList x, PythonList y) => x.IsTuple == y.IsTuple && x.Count == y.Count && x.Zip(y).All(pair => AreEqual(pair.First, pair.Second)),
            (PythonDict x, PythonDict y) => x.Count == y.Count && x.All(entry => y.TryGet(entry.Key, out var other) && AreEqual(entry.Value, other)),
            (PythonRange x, PythonRange y) => x.Count == y.Count && (x.Count.IsZero || (x.Start == y.Start && (x.Count.IsOne || x.Step == y.Step))),
            (PythonBytes x, PythonBytes y) => x.Value.AsSpan().SequenceEqual(y.Value),
            (DictView { Kind: not "values" } x, DictView { Kind: not "values" } y) => x.Dict.Count == y.Dict.Count && x.Items.All(item => y.Items.Any(other => AreEqual(item, other))),
            _ => ReferenceEquals(left, right),
        };
    }

    /// <summary>Less than zero, zero or more than zero; null where one is not a number.</summary>
    /// <exception cref="JinjaError">The values have no order.</exception>
    public static int? Compare(object left, object right, string operation)
    {
        if (left is Undefined missing || (missing = (right as Undefined)!) is not null) throw missing.Error();
        switch (left, right)
        {
            case (MarkedText x, MarkedText y):
                return CompareCodePoints(x.Value, y.Value);
            case (PythonList x, PythonList y) when x.IsTuple == y.IsTuple:
                for (var i = 0; i < Math.Min(x.Count, y.Count); i++)
                {
                    if (!AreEqual(x[i], y[i])) return Compare(x[i], y[i], operation);
                }

                return x.Count.CompareTo(y.Count);
        }

        if (TryInteger(left, out var a))
        {
            if (TryInteger(right, out var b)) return a.CompareTo(b);
            if (right is double number) return double.IsNaN(number) ? null : CompareExactly(a, number);
        }
        else if (left is double x)
        {
            if (right is double y) return double.IsNaN(x) || double.IsNaN(y) ? null : x.CompareTo(y);
            if (TryInteger(right, out var b)) return double.IsNaN(x) ? null : -CompareExactly(b, x);
        }

        throw JinjaError.Type($"'{operation}' is not supported between {TypeName(left)} and {TypeName(right)}.");
    }

    /// <summary>Whether <paramref name="item"/> is in <paramref name="container"/>.</summary>
    public static bool Contains(object container, object item)
    {
        switch (container)
        {
            case MarkedText text:
                return item is MarkedText part ? text.Value.Contains(part.Value, StringComparison.Ordinal) : throw JinjaError.Type($"'in' needs a string on its left, not {TypeName(item)}.");
            case PythonDict dict:
                return dict.TryGet(item, out _);
            case DictView { Kind: "keys" } keys:
                return keys.Dict.TryGet(item, out _);
            case Undefined:
                return false;
            default:
                foreach (var element in Iterate(container, "argument of 'in'"))
                {
                    if (AreEqual(element, item)) return true;
                }

                return false;
        }
    }

    /// <summary>The elements of a value.</summary>
    /// <exception cref="JinjaError">It has none.</exception>
    public static IEnumerable<object> Iterate(object value, string what = "value") => TryIterate(value) ?? throw JinjaError.Type($"the {what} is of type {TypeName(value)}, which cannot be gone through.");

    /// <summary>The elements of a value; null where it has none.</summary>
    public static IEnumerable<object>? TryIterate(object value) => value switch
    {
        MarkedText text => text.CodePoints(),
        PythonList list => list,
        PythonDict dict => dict.Keys,
        DictView view => view.Items,
        PythonRange range => range.Items,
        PythonGenerator generator => generator.Items,
        PythonBytes bytes => bytes.Value.Select(value => (object)(BigInteger)value),
        LoopContext loop => loop.Elements,
        Undefined => [],
        _ => null,
    };

    /// <summary>How many elements a value has; null where that has no answer.</summary>
    public static BigInteger? Length(object value) => value switch
    {
        MarkedText text => text.Length,
        PythonList list => list.Count,
        PythonDict dict => dict.Count,
        DictView view => view.Dict.Count,
        PythonRange range => range.Count,
        PythonBytes bytes => bytes.Value.Length,
        LoopContext loop => loop.Length,
        Undefined => 0,
        _ => null,
    };

    /// <summary>Keys of dictionaries and elements of sets do not change.</summary>
    public static void CheckHashable(object value)
    {
        if (value is PythonTuple tuple)
        {
            foreach (var item in tuple) CheckHashable(item);
        }
        else if (value is PythonList or PythonDict)
        {
            throw JinjaError.Type($"a {TypeName(value)} cannot be a key.");
        }
    }

    public static bool IsCallable(object value) => value is PythonFunction or Macro or Undefined or LoopContext;

    private static int CompareExactly(BigInteger integer, double number)
    {
        if (double.IsNaN(number)) return 1;
        if (double.IsInfinity(number)) return number > 0 ? -1 : 1;
        var floor = Math.Floor(number);
        var order = integer.CompareTo(new BigInteger(floor));
        return order == 0 && floor < number ? -1 : order;
    }

    private static int CompareCodePoints(string left, string right)
    {
        for (var i = 0; i < Math.Min(left.Length, right.Length); i++)
        {
            if (left[i] == right[i]) continue;
            // UTF-16 units are in the order of code points, but for surrogate pairs.
            var (isPairLeft, isPairRight) = (PythonText.SizeAt(left, i) == 2 || IsSecondOfPair(left, i), PythonText.SizeAt(right, i) == 2 || IsSecondOfPair(right, i));
            return isPairLeft == isPairRight ? left[i].CompareTo(right[i]) : isPairLeft ? 1 : -1;
        }

        return left.Length.CompareTo(right.Length);
    }

    private static bool IsSecondOfPair(string text, int index) => index > 0 && char.IsSurrogatePair(text[index - 1], text[index]);

    /// <summary>A float as Python prints it: the shortest digits that give it again.</summary>
    public static string FloatRepr(double value)
    {
        if (double.IsNaN(value)) return "nan";
        if (double.IsInfinity(value)) return value > 0 ? "inf" : "-inf";
        var shortest = value.ToString("R", CultureInfo.InvariantCulture);
        var negative = double.IsNegative(value);
        var mantissa = shortest.TrimStart('-').Split('E')[0];
        var digits = mantissa.Replace(".", string.Empty, StringComparison.Ordinal).TrimStart('0').TrimEnd('0');
        if (digits.Length == 0) return negative ? "-0.0" : "0.0";

        // The power of ten of the first digit.
        var point = mantissa.IndexOf('.', StringComparison.Ordinal) is >= 0 and var at ? at : mantissa.Length;
        var leading = mantissa.TakeWhile(c => c is '0' or '.').Count(c => c == '0');
        var exponent = shortest.Contains('E') ? int.Parse(shortest.Split('E')[1], CultureInfo.InvariantCulture) : mantissa[0] == '0' ? -leading : point - 1;
        var body = exponent is < -4 or >= 16
            ? $"{digits[0]}{(digits.Length > 1 ? "." + digits[1..] : string.Empty)}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}"
            : exponent < 0 ? "0." + new string('0', -exponent - 1) + digits
            : digits.Length <= exponent + 1 ? digits.PadRight(exponent + 1, '0') + ".0"
            : digits[..(exponent + 1)] + "." + digits[(exponent + 1)..];
        return negative ? "-" + body : body;
    }
}
