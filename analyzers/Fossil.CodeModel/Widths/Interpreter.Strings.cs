using System.Globalization;
using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel.Widths;

/// <content>Strings, as far as models are chosen by their names.</content>
internal sealed partial class Interpreter
{
    private Value? Text(IMethodSymbol method, Value? receiver, List<Value> values)
    {
        var isStatic = receiver is null;
        var subject = receiver ?? values.FirstOrDefault();
        var rest = isStatic ? values.Skip(1).ToList() : values;
        if (subject is not Constant { Content: var content } || rest.Any(value => value is not Constant)) return null;
        object? result = (method.Name, content as string, rest.Select(value => ((Constant)value).Content).ToList()) switch
        {
            ("IsNullOrEmpty", var text, []) => string.IsNullOrEmpty(text),
            ("IsNullOrWhiteSpace", var text, []) => string.IsNullOrWhiteSpace(text),
            ("ToLowerInvariant" or "ToLower", { } text, []) => text.ToLowerInvariant(),
            ("ToUpperInvariant" or "ToUpper", { } text, []) => text.ToUpperInvariant(),
            ("Trim", { } text, []) => text.Trim(),
            ("StartsWith", { } text, [string part]) => text.StartsWith(part, StringComparison.Ordinal),
            ("EndsWith", { } text, [string part]) => text.EndsWith(part, StringComparison.Ordinal),
            ("Contains", { } text, [string part]) => text.IndexOf(part, StringComparison.Ordinal) >= 0,
            ("Replace", { } text, [string { Length: > 0 } old, string replacement]) => text.Replace(old, replacement),
            ("Equals", { } text, [string other]) => text == other,
            ("StartsWith", { } text, [string part, int comparison]) when Comparison(comparison) is { } kind => text.StartsWith(part, kind),
            ("EndsWith", { } text, [string part, int comparison]) when Comparison(comparison) is { } kind => text.EndsWith(part, kind),
            ("Contains", { } text, [string part, int comparison]) when Comparison(comparison) is { } kind => text.IndexOf(part, kind) >= 0,
            ("Equals", var text, [string other, int comparison]) when Comparison(comparison) is { } kind => string.Equals(text, other, kind),
            _ => null,
        };
        return result is null ? null : new Constant(result, rest.Aggregate(subject.From, (from, value) => from.And(value.From)).And(Here));
    }

    /// <summary>The comparisons that do not depend on the culture of the machine.</summary>
    private static StringComparison? Comparison(int value) => (StringComparison)value is var comparison and (StringComparison.Ordinal or StringComparison.OrdinalIgnoreCase) ? comparison : null;

    /// <summary><c>int.Parse("64")</c>.</summary>
    private Value? Parse(IMethodSymbol method, List<Value> values) =>
        method.Name == "Parse" && values is [Constant { Content: string text } from] && long.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number)
        && Folding.Convert(number, method.ReturnType, true) is { } parsed
            ? new Constant(parsed, from.From.And(Here))
            : null;
}
