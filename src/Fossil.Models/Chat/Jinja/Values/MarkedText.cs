using System.Text;

namespace Fossil.Models.Chat.Jinja;

/// <summary>
/// A string of Python's whose characters know where they come from: from the template, or from the conversation (<see cref="FromConversation"/>), and whether a <c>generation</c> block wrote them.
/// Whatever is made of it by adding, slicing, trimming, replacing, joining, … keeps that, so that no message can write a marker.
/// </summary>
internal sealed class MarkedText : IEquatable<MarkedText>
{
    /// <summary>Bits of <see cref="Marks"/>.</summary>
    public const int ConversationBit = 1, GenerationBit = 2, GenerationStartBit = 4;

    public static readonly MarkedText Empty = new(string.Empty);

    public MarkedText(string value, string? marks = null, bool isMarkup = false)
    {
        Value = value;
        Marks = marks;
        IsMarkup = isMarkup;
    }

    /// <summary>The characters.</summary>
    public string Value { get; }

    /// <summary>A character of bits for each of <see cref="Value"/>; null where all are the template's.</summary>
    public string? Marks { get; }

    /// <summary>Whether it is markupsafe's <c>Markup</c>: adding a plain string escapes that one.</summary>
    public bool IsMarkup { get; }

    public bool IsEmpty => Value.Length == 0;

    /// <summary>How many code points.</summary>
    public int Length => PythonText.HasPairs(Value) ? PythonText.CountCodePoints(Value) : Value.Length;

    public static MarkedText FromConversation(string value) => new(value, new string((char)ConversationBit, value.Length));

    /// <summary>The bits of a character.</summary>
    public int MarkAt(int index) => Marks is null ? 0 : Marks[index];

    /// <summary>A part, counted in UTF-16 units.</summary>
    public MarkedText Substring(int start, int length) => start == 0 && length == Value.Length ? this : new MarkedText(Value.Substring(start, length), Marks?.Substring(start, length), IsMarkup);

    public MarkedText Substring(int start) => Substring(start, Value.Length - start);

    /// <summary>The code points, each a string of its own.</summary>
    public IEnumerable<MarkedText> CodePoints()
    {
        for (var i = 0; i < Value.Length;)
        {
            var size = PythonText.SizeAt(Value, i);
            yield return Substring(i, size);
            i += size;
        }
    }

    /// <summary>The UTF-16 index of a code point; that of the end for <see cref="Length"/>.</summary>
    public int Offset(int codePoint)
    {
        if (!PythonText.HasPairs(Value)) return codePoint;
        var offset = 0;
        for (; codePoint > 0; codePoint--) offset += PythonText.SizeAt(Value, offset);
        return offset;
    }

    /// <summary>The code point's number at a UTF-16 index.</summary>
    public int CodePointIndex(int offset) => PythonText.HasPairs(Value) ? PythonText.CountCodePoints(Value.AsSpan(0, offset)) : offset;

    public MarkedText AsPlain() => IsMarkup ? new MarkedText(Value, Marks) : this;

    public MarkedText AsMarkup() => IsMarkup ? this : new MarkedText(Value, Marks, isMarkup: true);

    /// <summary>Each code point changed by itself; what comes of it has its marks.</summary>
    public MarkedText Map(Func<int, string> change)
    {
        var result = new MarkedTextBuilder();
        for (var i = 0; i < Value.Length;)
        {
            var size = PythonText.SizeAt(Value, i);
            result.Append(change(PythonText.CodePointAt(Value, i)), MarkAt(i) & ~GenerationStartBit);
            i += size;
        }

        return result.ToText(IsMarkup);
    }

    public MarkedText Trim(Func<int, bool> isTrimmed, bool start = true, bool end = true)
    {
        var (from, to) = (0, Value.Length);
        while (start && from < to && isTrimmed(PythonText.CodePointAt(Value, from))) from += PythonText.SizeAt(Value, from);
        while (end && to > from)
        {
            var size = to - from > 1 && char.IsSurrogatePair(Value[to - 2], Value[to - 1]) ? 2 : 1;
            if (!isTrimmed(PythonText.CodePointAt(Value, to - size))) break;
            to -= size;
        }

        return Substring(from, to - from);
    }

    public bool Equals(MarkedText? other) => other is not null && Value == other.Value;

    public override bool Equals(object? obj) => Equals(obj as MarkedText);

    public override int GetHashCode() => Value.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => Value;
}

/// <summary>Puts a <see cref="MarkedText"/> together.</summary>
internal sealed class MarkedTextBuilder
{
    private readonly StringBuilder text = new();
    private StringBuilder? marks;

    public int Length => text.Length;

    public MarkedTextBuilder Append(MarkedText part)
    {
        if (part.Marks is { } partMarks) Marks().Append(partMarks);
        else marks?.Append('\0', part.Value.Length);
        text.Append(part.Value);
        return this;
    }

    /// <summary>Appends characters with the same bits, by default the template's own.</summary>
    public MarkedTextBuilder Append(string part, int mark = 0)
    {
        if (mark != 0) Marks().Append((char)mark, part.Length);
        else marks?.Append('\0', part.Length);
        text.Append(part);
        return this;
    }

    public MarkedTextBuilder Append(char part, int mark = 0) => Append(part.ToString(), mark);

    public MarkedText ToText(bool isMarkup = false) => new(text.ToString(), marks?.ToString(), isMarkup);

    private StringBuilder Marks() => marks ??= new StringBuilder().Append('\0', text.Length);
}
