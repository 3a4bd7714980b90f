namespace Fossil.CodeModel.Widths;

/// <summary>The functions of <see cref="System.Math"/> that widths are computed with.</summary>
internal static class MathFunctions
{
    public static object? Apply(string name, object value) => (name, value) switch
    {
        ("Abs", int number and > int.MinValue) => Math.Abs(number),
        ("Abs", long number and > long.MinValue) => Math.Abs(number),
        ("Abs", double number) => Math.Abs(number),
        ("Ceiling", double number) => Math.Ceiling(number),
        ("Floor", double number) => Math.Floor(number),
        ("Round", double number) => Math.Round(number),
        ("Truncate", double number) => Math.Truncate(number),
        ("Sqrt", double number) => Math.Sqrt(number),
        ("Log2", double number) => Math.Log(number, 2),
        ("Exp", double number) => Math.Exp(number),
        ("Log", double number) => Math.Log(number),
        ("Log10", double number) => Math.Log10(number),
        ("Cbrt", double number) => Math.Round(Math.Pow(number, 1.0 / 3)) is var root && root * root * root == number ? root : null,
        ("Log2", uint number and > 0) => Log2(number),
        ("Log2", ulong number and > 0) => Log2(number),
        ("IsPow2", int number) => number > 0 && (number & (number - 1)) == 0,
        ("IsPow2", long number) => number > 0 && (number & (number - 1)) == 0,
        ("IsPow2", uint number) => number > 0 && (number & (number - 1)) == 0,
        ("RoundUpToPowerOf2", uint number and > 0 and <= 1u << 31) => 1u << (number == 1 ? 0 : Log2(number - 1) + 1),
        ("RoundUpToPowerOf2", ulong number and > 0 and <= 1ul << 62) => 1ul << (number == 1 ? 0 : Log2(number - 1) + 1),
        ("Ceiling", float number) => (float)Math.Ceiling(number),
        ("Floor", float number) => (float)Math.Floor(number),
        ("Round", float number) => (float)Math.Round(number),
        ("Sqrt", float number) => (float)Math.Sqrt(number),
        _ => null,
    };

    private static int Log2(ulong number)
    {
        var log = 0;
        while ((number >>= 1) != 0) log++;
        return log;
    }

    public static object? Apply(string name, object left, object right) => (name, left, right) switch
    {
        ("Max", int a, int b) => Math.Max(a, b),
        ("Max", long a, long b) => Math.Max(a, b),
        ("Max", double a, double b) => Math.Max(a, b),
        ("Max", float a, float b) => Math.Max(a, b),
        ("Min", int a, int b) => Math.Min(a, b),
        ("Min", long a, long b) => Math.Min(a, b),
        ("Min", double a, double b) => Math.Min(a, b),
        ("Min", float a, float b) => Math.Min(a, b),
        ("Max", uint a, uint b) => Math.Max(a, b),
        ("Min", uint a, uint b) => Math.Min(a, b),
        ("Pow", double a, double b) => Math.Pow(a, b),
        ("Pow", float a, float b) => (float)Math.Pow(a, b),
        _ => null,
    };
}
