using System.Globalization;
using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Floats by their exact value: roundings to a number of digits, as Python does them.</summary>
internal static class ExactFloat
{
    /// <summary>The float nearest to an integer, ties to even.</summary>
    public static double Nearest(BigInteger integer) => double.Parse(integer.ToString(CultureInfo.InvariantCulture), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);

    /// <summary>The float nearest to a / b.</summary>
    public static double Quotient(BigInteger a, BigInteger b)
    {
        const int Safe = 53;
        if (a.GetBitLength() <= Safe && b.GetBitLength() <= Safe) return (double)a / (double)b;

        // 800 decimal digits after the point decide every rounding of a double.
        var scaled = BigInteger.Abs(a) * BigInteger.Pow(10, 800) / BigInteger.Abs(b);
        var value = double.Parse($"{scaled}e-800", NumberStyles.Float, CultureInfo.InvariantCulture);
        if (double.IsInfinity(value)) throw JinjaError.Value("a quotient is too large for a float.");
        return a.Sign * b.Sign < 0 ? -value : value;
    }

    /// <summary>Rounded to digits after the point (before it, where negative), ties of the exact value to even.</summary>
    public static double Round(double value, int digits)
    {
        if (!double.IsFinite(value) || digits > 340) return value;
        if (digits < -310) return double.CopySign(0, value);
        var units = Units(Math.Abs(value), digits);
        return double.CopySign(double.Parse($"{units}e{-digits}", NumberStyles.Float, CultureInfo.InvariantCulture), value);
    }

    /// <summary>Printed with digits after the point, as <c>%.Nf</c>, without a sign.</summary>
    public static string Fixed(double value, int digits)
    {
        var units = Units(Math.Abs(value), digits).ToString(CultureInfo.InvariantCulture).PadLeft(digits + 1, '0');
        return digits == 0 ? units : $"{units[..^digits]}.{units[^digits..]}";
    }

    /// <summary>|value| · 10^digits as a whole number, ties to even.</summary>
    private static BigInteger Units(double value, int digits)
    {
        var bits = BitConverter.DoubleToInt64Bits(value);
        var exponent = (int)((bits >> 52) & 0x7FF);
        var mantissa = (BigInteger)(bits & 0xFFFFFFFFFFFFF) + (exponent == 0 ? 0 : BigInteger.One << 52);
        exponent = Math.Max(exponent, 1) - 1075;
        var (numerator, denominator) = (mantissa, BigInteger.One);
        if (exponent > 0) numerator <<= exponent;
        else denominator <<= -exponent;
        if (digits > 0) numerator *= BigInteger.Pow(10, digits);
        else denominator *= BigInteger.Pow(10, -digits);
        var quotient = BigInteger.DivRem(numerator, denominator, out var remainder);
        var half = (remainder * 2).CompareTo(denominator);
        return half > 0 || (half == 0 && !quotient.IsEven) ? quotient + 1 : quotient;
    }
}
