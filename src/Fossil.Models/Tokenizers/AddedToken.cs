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

    /// <summary>Cuts a text into added tokens and what is between them, in order; either <c>Token</c> or <c>Text</c> is set.</summary>
    public IEnumerable<(AddedToken? Token, string Text)> Split(string text)
    {
        var done = 0;
        for (var from = 0; Find(text, from) is var (start, token); from = start + 1)
        {
            var end = start + token.Content.Length;
            if (token.SingleWord && ((start > 0 && char.IsLetterOrDigit(text[start - 1])) || (end < text.Length && char.IsLetterOrDigit(text[end])))) continue;
            if (token.StripLeft) while (start > done && char.IsWhiteSpace(text[start - 1])) start--;
            if (token.StripRight) while (end < text.Length && char.IsWhiteSpace(text[end])) end++;
            if (start > done) yield return (null, text[done..start]);
            yield return (token, string.Empty);
            done = end;
            start = end - 1;
        }

        if (done < text.Length) yield return (null, text[done..]);
    }

    private (int Start, AddedToken Token)? Find(string text, int from)
    {
        if (anyContent is null || from >= text.Length) return null;
        var at = text.AsSpan(from).IndexOfAny(anyContent);
        if (at < 0) return null;
        var rest = text.AsSpan(from + at);
        foreach (var token in longestFirst)
        {
            if (rest.StartsWith(token.Content, StringComparison.Ordinal)) return (from + at, token);
        }

        return null;
    }
}
