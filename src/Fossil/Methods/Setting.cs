using System.Globalization;

namespace Fossil.Methods;

/// <summary>
/// A setting of a method, declared once: attribute, configuration, analyzers and generator take its name, default, bounds and message from here.
/// This file and the methods' tables are compiled into the run time and into what runs in the compiler, so they know neither TorchSharp nor Roslyn.
/// </summary>
/// <param name="name">The property of the attribute and of the configuration.</param>
/// <param name="field">PEFT's name in <c>adapter_config.json</c>; empty where PEFT has none.</param>
internal abstract class Setting(string name, string field)
{
    /// <summary>The property of the attribute and of the configuration.</summary>
    public string Name { get; } = name;

    /// <summary>PEFT's name in <c>adapter_config.json</c>; empty where PEFT has none.</summary>
    public string Field { get; } = field;

    /// <summary>The variants that read it; all where empty.</summary>
    public IReadOnlyList<Enum> ReadBy { get; init; } = [];

    /// <summary>The error, with <c>{0}</c> for the variant, of a value other than the default for a variant that does not read it; null where such a value is only without effect.</summary>
    public string? Refusal { get; init; }

    /// <summary>Whether the default is a value like any other, which an attribute does not write where no variant reads it. A configuration may repeat each default.</summary>
    public bool DefaultHasMeaning { get; init; }

    /// <summary>Whether generated code leaves it out where it has its default.</summary>
    public bool OmittedAtDefault { get; init; }

    /// <summary>The type of its values.</summary>
    public abstract Type Type { get; }

    /// <summary>The value where none is given.</summary>
    public abstract object DefaultValue { get; }

    /// <summary>A constant of the compiler as a value of the setting; null where it is of another type.</summary>
    public abstract object? ValueOf(object? constant);

    /// <summary>What is wrong with a value, and what to do, by itself or for a variant (null: whichever it is); null where nothing is.</summary>
    public string? ProblemOf(object value, Enum? variant = null) =>
        !Accepts(value) ? string.Format(CultureInfo.InvariantCulture, Message, value)
        : Refusal is not null && !IsRead(variant) && !value.Equals(DefaultValue) ? string.Format(CultureInfo.InvariantCulture, Refusal, variant)
        : null;

    /// <summary>Whether a value that is written down changes nothing for a variant (null: whichever it is).</summary>
    public bool IsWithoutEffect(object value, Enum? variant, bool inAttribute) =>
        Refusal is null && !IsRead(variant) && ((inAttribute && DefaultHasMeaning) || !value.Equals(DefaultValue));

    /// <summary>The error, with <c>{0}</c> for the value.</summary>
    protected abstract string Message { get; }

    /// <summary>Whether a value is within the bounds.</summary>
    protected abstract bool Accepts(object value);

    private bool IsRead(Enum? variant) => variant is null || ReadBy.Count == 0 || ReadBy.Contains(variant);
}

/// <inheritdoc/>
/// <typeparam name="T">The type of its values.</typeparam>
/// <param name="name">The property of the attribute and of the configuration.</param>
/// <param name="field">PEFT's name in <c>adapter_config.json</c>; empty where PEFT has none.</param>
/// <param name="default">The value where none is given.</param>
/// <param name="accepts">The bounds; none where null.</param>
/// <param name="message">The error of a value beyond them, with <c>{0}</c> for the value.</param>
internal sealed class Setting<T>(string name, string field, T @default, Func<T, bool>? accepts = null, string message = "") : Setting(name, field)
    where T : struct
{
    /// <summary>The value where none is given.</summary>
    public T Default => @default;

    public override Type Type => typeof(T);

    public override object DefaultValue => @default;

    protected override string Message => message;

    public override object? ValueOf(object? constant) => constant is int number && typeof(T).IsEnum ? Enum.ToObject(typeof(T), number) : constant as T?;

    /// <summary>Whether a value is within the bounds.</summary>
    public bool Accepts(T value) => accepts?.Invoke(value) ?? true;

    protected override bool Accepts(object value) => Accepts((T)value);
}

/// <summary>Bounds of settings.</summary>
internal static class Bounds
{
    /// <summary>What several methods say of their dropout.</summary>
    public const string DropoutMessage = "Dropout {0} is not in the range from 0 to below 1: it is the probability that an element of the input is zeroed while training";

    /// <summary>1 and above.</summary>
    public static bool Positive(int value) => value > 0;

    /// <summary>From 0 to below 1.</summary>
    public static bool Probability(double value) => value is >= 0 and < 1;

    /// <summary>Neither infinite nor NaN.</summary>
    public static bool Finite(double value) => !double.IsNaN(value) && !double.IsInfinity(value);

    /// <summary>A member of the enumeration.</summary>
    public static bool Named<T>(T value) where T : struct, Enum => Enum.IsDefined(typeof(T), value);
}
