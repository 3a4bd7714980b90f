using System.Text.Json;
using System.Text.RegularExpressions;

namespace Fossil.Models.Tokenizers;

/// <summary>
/// Cuts a text into the words within which byte pairs are merged, as the <c>pre_tokenizer</c> of a <c>tokenizer.json</c> says: a sequence of
/// splits by regular expressions and by digits, ending with the step to bytes.
/// </summary>
internal sealed class PreTokenizer
{
    /// <summary>GPT-2's expression, which the step to bytes brings along unless it is told not to.</summary>
    private const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    private const string Digit = @"\p{N}";
    private const string Digits = @"\p{N}+";
    private static readonly TimeSpan LongestMatch = TimeSpan.FromSeconds(10);

    private readonly string path;
    private readonly List<(Regex Expression, bool OnlyMatches)> splits = [];
    private readonly List<string> signature = [];
    private bool addPrefixSpace;
    private bool endsInBytes;

    /// <summary>Reads a <c>pre_tokenizer</c>.</summary>
    /// <exception cref="TokenizerException">It is malformed, or of a kind that is not known.</exception>
    public PreTokenizer(JsonElement description, string path)
    {
        this.path = path;
        Add(description);
        if (!endsInBytes) throw new TokenizerException(path, "the pre-tokenizer does not end with ByteLevel, so this is no byte-level tokenizer (SentencePiece's are not supported).");
    }

    /// <summary>What tells pre-tokenizers apart: two with the same signature cut every text alike.</summary>
    public string Signature => string.Join('\n', signature);

    /// <summary>The words of a text, in order; together they are the text.</summary>
    public IEnumerable<string> Split(string text)
    {
        if (addPrefixSpace && !text.StartsWith(' ')) text = " " + text;
        return splits.Aggregate<(Regex Expression, bool OnlyMatches), IEnumerable<string>>([text], (parts, split) => parts.SelectMany(part => Split(part, split.Expression, split.OnlyMatches)));
    }

    private IEnumerable<string> Split(string text, Regex expression, bool onlyMatches)
    {
        var source = new CodePointText(text);
        var done = 0;
        foreach (var (start, end) in Matches(source.Matched, expression))
        {
            if (start > done && !onlyMatches) yield return source.Slice(done, start);
            yield return source.Slice(start, end);
            done = end;
        }

        if (done < source.Matched.Length && !onlyMatches) yield return source.Slice(done, source.Matched.Length);
    }

    private List<(int Start, int End)> Matches(string text, Regex expression)
    {
        var matches = new List<(int Start, int End)>();
        try
        {
            foreach (var match in expression.EnumerateMatches(text))
            {
                if (match.Length > 0) matches.Add((match.Index, match.Index + match.Length));
            }
        }
        catch (RegexMatchTimeoutException exception)
        {
            throw new TokenizerException(path, "the pre-tokenizer's expression takes longer than ten seconds on a text.", exception);
        }

        return matches;
    }

    private void Add(JsonElement step)
    {
        if (endsInBytes) throw new TokenizerException(path, "the pre-tokenizer goes on after ByteLevel.");
        switch (step.Text("type", path))
        {
            case "Sequence":
                foreach (var inner in step.List("pretokenizers", path)) Add(inner);
                break;
            case "Split":
                AddSplit(step);
                break;
            case "Digits":
                AddSplit(step.Flag("individual_digits", path) ? Digit : Digits, onlyMatches: false);
                break;
            case "ByteLevel":
                addPrefixSpace = step.Flag("add_prefix_space", path);
                if (step.Flag("use_regex", path, fallback: true)) AddSplit(Gpt2, onlyMatches: false);
                if (addPrefixSpace) signature.Add("prefix space");
                endsInBytes = true;
                break;
            case var other:
                throw new TokenizerException(path, $"the pre-tokenizer '{other}' is not supported, only Sequence, Split, Digits and ByteLevel.");
        }
    }

    private void AddSplit(JsonElement step)
    {
        var pattern = step.Member("pattern", path);
        var expression = pattern.TryGetProperty("String", out var literal) && literal.ValueKind == JsonValueKind.String ? Regex.Escape(literal.GetString()!) : pattern.Text("Regex", path);
        var behavior = step.Text("behavior", path);
        var invert = step.Flag("invert", path);

        // Inverted, the parts between matches are what is removed.
        var onlyMatches = (behavior, invert) switch
        {
            ("Isolated", _) => false,
            ("Removed", true) => true,
            _ => throw new TokenizerException(path, $"the pre-tokenizer's Split has the behavior '{behavior}'{(invert ? " inverted" : string.Empty)}; only Isolated, and Removed inverted, are supported."),
        };
        AddSplit(expression, onlyMatches);
    }

    private void AddSplit(string expression, bool onlyMatches)
    {
        try
        {
            splits.Add((new Regex(expression, RegexOptions.CultureInvariant | RegexOptions.Compiled, LongestMatch), onlyMatches));
        }
        catch (ArgumentException exception)
        {
            throw new TokenizerException(path, $"the pre-tokenizer's expression is not one of .NET's: {exception.Message}", exception);
        }

        signature.Add((onlyMatches ? "only " : string.Empty) + expression);
    }
}
