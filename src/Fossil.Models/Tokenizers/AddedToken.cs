using System.Buffers;

namespace Fossil.Models.Tokenizers;

/// <summary>A token that is found in the text before it is split into words: markers of a chat, the end of a text.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
/// <param name="Special">Whether it is a marker rather than text: it is left out of decoded text on request, and is not looked for in text that must not contain markers.</param>
/// <param name="StripLeft">Whether it takes the white space before it along.</param>
/// <param name="StripRight">Whether it takes the white space after it along.</param>
/// <param name="SingleWord">Whether it counts only where no letter or digit is beside it.</param>
public sealed record AddedToken(int Id, string Content, bool Special, bool StripLeft = false, bool StripRight = false, bool SingleWord = false);

/// <summary>Finds added tokens in a text: the leftmost, and the longest of those that begin there.</summary>
internal sealed class AddedTokenFinder
{
    private readonly SearchValues<string>? anyContent;
    private readonly AddedToken[] longestFirst;

    /// <summary>Creates a finder of <paramref name="tokens"/>.</summary>
    public AddedTokenFinder(IEnumerable<AddedToken> tokens)
    {
        longestFirst = [.. tokens.Where(token => token.Content.Length > 0).OrderByDescending(token => token.Content.Length)];
        if (longestFirst.Length > 0) anyContent = SearchValues.Create([.. longestFirst.Select(token => token.Content)], StringComparison.Ordinal);
    }

    /// <summary>Cuts a text into added tokens and what is between them (<c>Token</c> null), in order; together the spans are the text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="accepts">Whether a token may count where its characters stand; null: everywhere.</param>
    public IEnumerable<TextSpan> Spans(string text, Func<AddedToken, int, bool>? accepts = null)
    {
        var done = 0;
        for (var from = 0; Find(text, from, accepts) is var (start, token); from = done)
        {
            var end = start + token.Content.Length;
            if (token.StripLeft) while (start > done && char.IsWhiteSpace(text[start - 1])) start--;
            if (token.StripRight) while (end < text.Length && char.IsWhiteSpace(text[end])) end++;
            if (start > done) yield return new TextSpan(null, done, start);
            yield return new TextSpan(token, start, end);
            done = end;
        }

        if (done < text.Length) yield return new TextSpan(null, done, text.Length);
    }

    private (int Start, AddedToken Token)? Find(string text, int from, Func<AddedToken, int, bool>? accepts)
    {
        for (; anyContent is not null && from < text.Length; from++)
        {
            var at = text.AsSpan(from).IndexOfAny(anyContent);
            if (at < 0) return null;
            from += at;
            foreach (var token in longestFirst)
            {
                if (text.AsSpan(from).StartsWith(token.Content, StringComparison.Ordinal) && Stands(token, text, from) && accepts?.Invoke(token, from) != false) return (from, token);
            }
        }

        return null;
    }

    private static bool Stands(AddedToken token, string text, int start)
    {
        var end = start + token.Content.Length;
        return !token.SingleWord || ((start == 0 || !char.IsLetterOrDigit(text[start - 1])) && (end == text.Length || !char.IsLetterOrDigit(text[end])));
    }
}

/// <summary>A part of a text.</summary>
/// <param name="Token">The added token that it is; null where it is text.</param>
/// <param name="Start">Its first character.</param>
/// <param name="End">One more than its last character.</param>
internal readonly record struct TextSpan(AddedToken? Token, int Start, int End);
