namespace Fossil.Models.Chat.Jinja;

/// <summary>What methods and filters do with strings.</summary>
internal static class StringOperations
{
    public static MarkedText Strip(MarkedText text, MarkedText? characters, bool start = true, bool end = true)
    {
        if (characters is null) return text.Trim(PythonText.IsSpace, start, end);
        var set = new HashSet<int>();
        foreach (var character in characters.CodePoints()) set.Add(PythonText.CodePointAt(character.Value, 0));
        return text.Trim(set.Contains, start, end);
    }

    /// <summary>Replaces the first <paramref name="count"/> occurrences, all where negative; an empty one stands between all characters.</summary>
    public static MarkedText Replace(MarkedText text, string old, MarkedText replacement, int count)
    {
        if (count < 0) count = int.MaxValue;
        var result = new MarkedTextBuilder();
        var position = 0;
        for (; count > 0; count--)
        {
            if (old.Length == 0)
            {
                result.Append(replacement);
                if (position >= text.Value.Length) break;
                var size = PythonText.SizeAt(text.Value, position);
                result.Append(text.Substring(position, size));
                position += size;
                continue;
            }

            var at = text.Value.IndexOf(old, position, StringComparison.Ordinal);
            if (at < 0) break;
            result.Append(text.Substring(position, at - position)).Append(replacement);
            position = at + old.Length;
        }

        return result.Append(text.Substring(position)).ToText(text.IsMarkup);
    }

    public static MarkedText Join(MarkedText separator, IEnumerable<MarkedText> parts)
    {
        var result = new MarkedTextBuilder();
        var first = true;
        foreach (var part in parts)
        {
            if (!first) result.Append(separator);
            first = false;
            result.Append(part);
        }

        return result.ToText();
    }

    /// <summary>Split at a separator, or at white space where it is null, at most <paramref name="limit"/> times (negative: as often as there is one).</summary>
    public static IEnumerable<MarkedText> Split(MarkedText text, string? separator, int limit)
    {
        var position = 0;
        if (separator is not null)
        {
            for (; limit != 0; limit--)
            {
                var at = text.Value.IndexOf(separator, position, StringComparison.Ordinal);
                if (at < 0) break;
                yield return text.Substring(position, at - position);
                position = at + separator.Length;
            }

            yield return text.Substring(position);
            yield break;
        }

        for (; ; limit--)
        {
            while (position < text.Value.Length && PythonText.IsSpace(text.Value[position])) position++;
            if (position == text.Value.Length) yield break;
            if (limit == 0)
            {
                yield return text.Substring(position);
                yield break;
            }

            var end = position;
            while (end < text.Value.Length && !PythonText.IsSpace(text.Value[end])) end++;
            yield return text.Substring(position, end - position);
            position = end;
        }
    }

    /// <summary>As <see cref="Split"/>, from the right.</summary>
    public static IEnumerable<MarkedText> RightSplit(MarkedText text, string? separator, int limit)
    {
        var parts = new List<MarkedText>();
        var end = text.Value.Length;
        if (separator is not null)
        {
            for (; limit != 0; limit--)
            {
                var at = end == 0 ? -1 : text.Value.LastIndexOf(separator, end - 1, end, StringComparison.Ordinal);
                if (at < 0) break;
                parts.Add(text.Substring(at + separator.Length, end - at - separator.Length));
                end = at;
            }

            parts.Add(text.Substring(0, end));
        }
        else
        {
            for (; ; limit--)
            {
                while (end > 0 && PythonText.IsSpace(text.Value[end - 1])) end--;
                if (end == 0) break;
                var start = limit == 0 ? 0 : end;
                while (limit != 0 && start > 0 && !PythonText.IsSpace(text.Value[start - 1])) start--;
                parts.Add(text.Substring(start, end - start));
                if (limit == 0) break;
                end = start;
            }
        }

        parts.Reverse();
        return parts;
    }

    /// <summary>The lines, at every end of line that Python knows.</summary>
    public static IEnumerable<MarkedText> SplitLines(MarkedText text, bool keepEnds = false)
    {
        for (var position = 0; position < text.Value.Length;)
        {
            var end = text.Value.AsSpan(position).IndexOfAny("\n\r\v\f\u001c\u001d\u001e\u0085\u2028\u2029");
            end = end < 0 ? text.Value.Length : position + end;
            var next = end == text.Value.Length ? end : text.Value[end] == '\r' && end + 1 < text.Value.Length && text.Value[end + 1] == '\n' ? end + 2 : end + 1;
            yield return text.Substring(position, (keepEnds ? next : end) - position);
            position = next;
        }
    }

    public static MarkedText ExpandTabs(MarkedText text, int tabSize)
    {
        var result = new MarkedTextBuilder();
        var column = 0;
        foreach (var character in text.CodePoints())
        {
            if (character.Value == "\t")
            {
                if (tabSize <= 0) continue;
                var spaces = tabSize - (column % tabSize);
                result.Append(new string(' ', Math.Min(spaces, 1 << 16)), character.MarkAt(0));
                column += spaces;
                continue;
            }

            result.Append(character);
            column = character.Value is "\n" or "\r" ? 0 : column + 1;
        }

        return result.ToText(text.IsMarkup);
    }
}
