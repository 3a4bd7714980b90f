using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Jinja's tests (<c>jinja2/tests.py</c>): what may follow <c>is</c>.</summary>
internal static class Tests
{
    private static readonly Dictionary<string, Func<object, CallArguments, bool>> All = new()
    {
        ["odd"] = Plain(value => IsRemainder(value, 2, 1)),
        ["even"] = Plain(value => IsRemainder(value, 2, 0)),
        ["divisibleby"] = (value, arguments) => Python.AreEqual(Arithmetic.Compute("%", value, arguments.Bind("divisibleby", "num")[0]!), BigInteger.Zero),
        ["defined"] = Plain(value => value is not Undefined),
        ["undefined"] = Plain(value => value is Undefined),
        ["filter"] = Plain(value => value is MarkedText name && Filters.Exists(name.Value)),
        ["test"] = Plain(value => value is MarkedText name && Exists(name.Value)),
        ["none"] = Plain(value => value is None),
        ["boolean"] = Plain(value => value is bool),
        ["true"] = Plain(value => value is true),
        ["false"] = Plain(value => value is false),
        ["integer"] = Plain(value => value is BigInteger),
        ["float"] = Plain(value => value is double),
        ["number"] = Plain(value => value is BigInteger or double or bool),
        ["string"] = Plain(value => value is MarkedText),
        ["mapping"] = Plain(value => value is PythonDict),
        ["sequence"] = Plain(value => value is MarkedText or PythonList or PythonDict or PythonRange or PythonBytes or Undefined),
        ["iterable"] = Plain(value => Python.TryIterate(value) is not null),
        ["callable"] = Plain(value => Python.IsCallable(value)),
        ["escaped"] = Plain(value => value is MarkedText { IsMarkup: true }),
        ["lower"] = Plain(value => StringMethods.IsLower(Python.Str(value))),
        ["upper"] = Plain(value => StringMethods.IsUpper(Python.Str(value))),
        ["sameas"] = (value, arguments) => IsSame(value, arguments.Bind("sameas", "other")[0]!),
        ["in"] = (value, arguments) => Python.Contains(arguments.Bind("in", "seq")[0]!, value),
        ["eq"] = Compare("=="),
        ["equalto"] = Compare("=="),
        ["=="] = Compare("=="),
        ["ne"] = Compare("!="),
        ["!="] = Compare("!="),
        ["gt"] = Compare(">"),
        ["greaterthan"] = Compare(">"),
        [">"] = Compare(">"),
        ["ge"] = Compare(">="),
        [">="] = Compare(">="),
        ["lt"] = Compare("<"),
        ["lessthan"] = Compare("<"),
        ["<"] = Compare("<"),
        ["le"] = Compare("<="),
        ["<="] = Compare("<="),
    };

    public static bool Exists(string name) => All.ContainsKey(name);

    /// <summary>Runs a test.</summary>
    /// <exception cref="JinjaError">There is no such test, or the value or the arguments do not fit it.</exception>
    public static bool Run(string name, object value, CallArguments arguments) =>
        All.TryGetValue(name, out var test) ? test(value, arguments) : throw JinjaError.Runtime($"there is no test '{name}'.");

    private static Func<object, CallArguments, bool> Plain(Func<object, bool> test) => (value, arguments) =>
    {
        arguments.BindNone("the test");
        return test(value);
    };

    private static Func<object, CallArguments, bool> Compare(string operation) => (value, arguments) => Operators.Compare(operation, value, arguments.Bind(operation, "other")[0]!);

    private static bool IsRemainder(object value, int divisor, int remainder) => value is MarkedText
        ? throw JinjaError.Type("a string is neither odd nor even.")
        : Python.AreEqual(Arithmetic.Compute("%", value, (BigInteger)divisor), (BigInteger)remainder);

    private static bool IsSame(object left, object right) => (left, right) switch
    {
        (None, None) => true,
        (bool x, bool y) => x == y,
        (BigInteger x, BigInteger y) => x == y && x >= -5 && x <= 256,
        (MarkedText x, MarkedText y) => x.Value == y.Value && x.Value.Length <= 1,
        _ => ReferenceEquals(left, right),
    };
}

/// <summary>Comparisons.</summary>
internal static class Operators
{
    public static bool Compare(string operation, object left, object right) => operation switch
    {
        "==" => Python.AreEqual(left, right),
        "!=" => !Python.AreEqual(left, right),
        "in" => Python.Contains(right, left),
        "not in" => !Python.Contains(right, left),
        "<" => Python.Compare(left, right, operation) < 0,
        "<=" => Python.Compare(left, right, operation) <= 0,
        ">" => Python.Compare(left, right, operation) > 0,
        _ => Python.Compare(left, right, operation) >= 0,
    };
}
