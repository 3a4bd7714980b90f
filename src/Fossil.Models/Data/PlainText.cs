using Fossil.Models.Tokenizers;
using Fossil.Training;

namespace Fossil.Models.Data;

/// <summary>Prompts and completions that are text as they stand.</summary>
internal static class PlainText
{
    /// <summary>
    /// What the tokenizer puts before a text, the prompt, the completion, the end-of-text token. The ids are those of the whole text where it has a cut behind the prompt; where a token would stand across, the
    /// prompt's own ids are kept, which are what the model is given when it answers, and the completion goes on from there.
    /// </summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="prompt">What is not learned; may be empty.</param>
    /// <param name="completion">What is learned. The end-of-text token's own text at its end, as some data sets have it, is that token.</param>
    public static TokenExample Encode(PretrainedTokenizer tokenizer, string prompt, string completion)
    {
        if (tokenizer.EosTokenId is { } end && tokenizer.BytesOf(end) is { IsEmpty: false } marker)
        {
            var text = System.Text.Encoding.UTF8.GetString(marker.Span);
            if (completion.Length > text.Length && completion.EndsWith(text, StringComparison.Ordinal)) completion = completion[..^text.Length];
        }

        var prefix = tokenizer.Definition.Prefix;
        var before = Ids(prompt, PartStart.Text);
        var whole = Ids(prompt + completion, PartStart.Text);
        if (!whole.Take(before.Count).SequenceEqual(before))
        {
            whole = [.. before];
            tokenizer.EncodePart(completion, PartStart.OtherText, parseSpecialTokens: false, whole);
        }

        // Some tokenizers put the end-of-text token behind every text.
        IReadOnlyList<int> suffix = tokenizer.Definition.Suffix;
        if (tokenizer.EosTokenId is { } eos && !suffix.Contains(eos)) suffix = [.. suffix, eos];
        var given = prefix.Count + before.Count;
        int[] ids = [.. prefix, .. whole, .. suffix];
        return new(ids, [.. ids.Select((_, index) => index >= given)]);

        List<int> Ids(string text, PartStart start)
        {
            var ids = new List<int>();
            if (text.Length > 0) tokenizer.EncodePart(text, start, parseSpecialTokens: false, ids);
            return ids;
        }
    }

    /// <summary>An instruction as Alpaca's authors wrote it for models without a chat template.</summary>
    public static string Instruction(string instruction) =>
        $"Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n### Response:\n";
}
