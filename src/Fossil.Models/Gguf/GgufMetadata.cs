using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace Fossil.Models.Gguf;

/// <summary>A file's metadata, in the file's order, with readers that check the types.</summary>
public sealed class GgufMetadata : IReadOnlyCollection<KeyValuePair<string, GgufValue>>
{
    private readonly OrderedDictionary<string, GgufValue> values = new(StringComparer.Ordinal);

    /// <summary>Creates empty metadata.</summary>
    /// <param name="path">The file that messages name; null where there is none.</param>
    public GgufMetadata(string? path = null) => Path = path;

    /// <summary>The file; null where there is none.</summary>
    public string? Path { get; }

    /// <inheritdoc />
    public int Count => values.Count;

    /// <summary>The value of a key.</summary>
    /// <exception cref="GgufException">Reading: the key is not there.</exception>
    public GgufValue this[string key]
    {
        get => values.TryGetValue(key, out var value) ? value : throw Missing(key);
        set => values[key] = value;
    }

    /// <summary>Adds a key at the end; false where it is there already.</summary>
    public bool TryAdd(string key, GgufValue value) => values.TryAdd(key, value);

    /// <summary>Whether the key is there.</summary>
    public bool Contains(string key) => values.ContainsKey(key);

    /// <summary>The value of a key, where it is there.</summary>
    public bool TryGetValue(string key, [NotNullWhen(true)] out GgufValue? value) => values.TryGetValue(key, out value);

    /// <summary>A string; null where the key is not there.</summary>
    /// <exception cref="GgufException">The value is no string.</exception>
    public string? FindString(string key) => Find(key) is { } value ? value.Value as string ?? throw Wrong(key, value, "a string") : null;

    /// <summary>A string.</summary>
    /// <exception cref="GgufException">The key is not there, or the value is no string.</exception>
    public string GetString(string key) => FindString(key) ?? throw Missing(key);

    /// <summary>An array of strings; null where the key is not there.</summary>
    /// <exception cref="GgufException">The value is something else.</exception>
    public string[]? FindStrings(string key) => Find(key) is { } value ? value.Value as string[] ?? throw Wrong(key, value, "an array of strings") : null;

    /// <summary>A truth value; null where the key is not there.</summary>
    /// <exception cref="GgufException">The value is no truth value.</exception>
    public bool? FindBoolean(string key) => Find(key) is { } value ? value.Value as bool? ?? throw Wrong(key, value, "a truth value") : null;

    /// <summary>A whole number of any of the format's integer types; null where the key is not there.</summary>
    /// <exception cref="GgufException">The value is no whole number, negative, or beyond <see cref="int.MaxValue"/>.</exception>
    public int? FindCount(string key)
    {
        if (FindInteger(key) is not { } count) return null;
        return count >= 0 && count <= int.MaxValue ? (int)count : throw Wrong(key, this[key], "a whole number from 0 to 2147483647");
    }

    /// <summary>A whole number of any of the format's integer types; null where the key is not there.</summary>
    /// <exception cref="GgufException">The value is no whole number.</exception>
    internal Int128? FindInteger(string key)
    {
        if (Find(key) is not { } value) return null;
        return value.Value switch
        {
            byte v => v,
            sbyte v => v,
            ushort v => v,
            short v => v,
            uint v => v,
            int v => v,
            ulong v => v,
            long v => v,
            _ => throw Wrong(key, value, "a whole number"),
        };
    }

    /// <summary>A whole number of any of the format's integer types.</summary>
    /// <exception cref="GgufException">The key is not there, or the value is no whole number, negative, or beyond <see cref="int.MaxValue"/>.</exception>
    public int GetCount(string key) => FindCount(key) ?? throw Missing(key);

    /// <summary>A finite number; null where the key is not there.</summary>
    /// <exception cref="GgufException">The value is no finite number.</exception>
    public double? FindNumber(string key)
    {
        if (Find(key) is not { } value) return null;

        // A float's shortest decimal text, so that 1e-5 stored in 32 bits reads as the 1e-5 it was.
        double? number = value.Value switch
        {
            double v => v,
            float v => double.Parse(v.ToString("R", System.Globalization.CultureInfo.InvariantCulture), System.Globalization.CultureInfo.InvariantCulture),
            _ => FindCount(key),
        };
        return number is { } finite && double.IsFinite(finite) ? finite : throw Wrong(key, value, "a finite number");
    }

    /// <inheritdoc />
    public IEnumerator<KeyValuePair<string, GgufValue>> GetEnumerator() => values.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private GgufValue? Find(string key) => values.GetValueOrDefault(key);

    private GgufException Missing(string key) => new(GgufError.KeyNotFound, Path, $"the metadata has no '{key}'. The file is incomplete, or no model of that kind.");

    private GgufException Wrong(string key, GgufValue value, string wanted) => new(GgufError.InvalidValue, Path, $"the metadata's '{key}' is {value} ({value.Type}), not {wanted}.");
}
