using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>The methods of dictionaries that change nothing.</summary>
internal static class DictMethods
{
    public static PythonFunction? Find(PythonDict dict, string name) => name switch
    {
        "get" => new(name, arguments =>
        {
            if (arguments.Named.Count > 0) throw JinjaError.Type("get() takes no names.");
            var bound = arguments.Bind(name, "key", "default?");
            return dict.TryGet(bound[0]!, out var value) ? value : bound[1] ?? None.Value;
        }),
        "items" or "keys" or "values" => new(name, arguments =>
        {
            arguments.BindNone(name);
            return new DictView(dict, name);
        }),
        "copy" => new(name, arguments =>
        {
            arguments.BindNone(name);
            return dict.Copy();
        }),
        "fromkeys" => new(name, FromKeys),
        _ => null,
    };

    public static object FromKeys(CallArguments arguments)
    {
        var bound = arguments.Bind("fromkeys", "iterable", "value?");
        var result = new PythonDict();
        foreach (var key in Python.Iterate(bound[0]!, "argument of fromkeys()")) result.Set(key, bound[1] ?? None.Value);
        return result;
    }
}

/// <summary>The methods of lists, tuples and ranges that change nothing.</summary>
internal static class ListMethods
{
    public static PythonFunction? Find(object list, string name) => name switch
    {
        "count" => new(name, arguments =>
        {
            var value = arguments.Bind(name, "value")[0]!;
            return (BigInteger)Python.Iterate(list).Count(item => Python.AreEqual(item, value));
        }),
        "index" => new(name, arguments =>
        {
            var bound = arguments.Bind(name, "value", "start?", "stop?");
            var items = Python.Iterate(list).ToArray();
            var (start, stop) = (Position(bound[1], 0), Position(bound[2], items.Length));
            for (var i = start; i < stop; i++)
            {
                if (Python.AreEqual(items[i], bound[0]!)) return (BigInteger)i;
            }

            throw JinjaError.Value($"{Python.Repr(bound[0]!)} is not in the {Python.TypeName(list)}.");

            int Position(object? value, int absent)
            {
                var at = value.Int(name, absent);
                return Math.Clamp(at < 0 ? at + items.Length : at, 0, items.Length);
            }
        }),
        "copy" when list is PythonList { IsTuple: false } items => new(name, arguments =>
        {
            arguments.BindNone(name);
            return new PythonList([.. items]);
        }),
        _ => null,
    };
}

/// <summary>The attributes and methods of numbers that templates might use.</summary>
internal static class NumberMethods
{
    public static object? Find(object value, string name)
    {
        if (value is double number)
        {
            return name switch
            {
                "real" => number,
                "imag" => 0.0,
                "is_integer" => Method(() => double.IsFinite(number) && Math.Floor(number) == number),
                "conjugate" => Method(() => number),
                _ => null,
            };
        }

        if (!Python.TryInteger(value, out var integer)) return null;
        return name switch
        {
            "real" or "numerator" => integer,
            "imag" => BigInteger.Zero,
            "denominator" => BigInteger.One,
            "bit_length" => Method(() => (BigInteger)(long)BigInteger.Abs(integer).GetBitLength()),
            "is_integer" => Method(() => true),
            "conjugate" => Method(() => integer),
            "to_bytes" => new PythonFunction(name, arguments => ToBytes(integer, arguments)),
            _ => null,
        };

        PythonFunction Method(Func<object> result) => new(name, arguments =>
        {
            arguments.BindNone(name);
            return result();
        });
    }

    private static PythonBytes ToBytes(BigInteger integer, CallArguments arguments)
    {
        const string Name = "to_bytes";
        var bound = arguments.Bind(Name, "length?", "byteorder?", "signed?");
        var (length, order, isSigned) = (bound[0].Int(Name, 1), bound[1] is null ? "big" : bound[1].Text(Name).Value, bound[2].Truth(false));
        if (order is not ("big" or "little") || length is < 0 or > 1 << 16) throw JinjaError.Value("to_bytes() takes a length up to 65536 and the order 'big' or 'little'.");
        var bytes = new byte[length];
        if ((!isSigned && integer.Sign < 0) || !integer.TryWriteBytes(bytes, out var written, isUnsigned: !isSigned)) throw JinjaError.Value("the integer does not fit to_bytes()'s length.");
        if (integer.Sign < 0) bytes.AsSpan(written).Fill(0xFF);
        if (order == "big") Array.Reverse(bytes);
        return new PythonBytes(bytes);
    }
}
