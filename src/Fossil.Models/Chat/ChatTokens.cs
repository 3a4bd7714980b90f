using System.Text;
using Fossil.Models.Chat.Jinja;
using Fossil.Models.Tokenizers;

namespace Fossil.Models.Chat;

/// <summary>A rendered conversation as ids: a marker is a token only where each of its characters is the template's own.</summary>
internal sealed class ChatTokens
{
    private readonly PretrainedTokenizer tokenizer;
    private readonly LearnedText source;
    private readonly List<int> ids = [];
    private readonly List<bool> isLearned = [];

    private ChatTokens(PretrainedTokenizer tokenizer, LearnedText source)
    {
        (this.tokenizer, this.source) = (tokenizer, source);
        var text = source.Text;
        var start = PartStart.Text;
        foreach (var (token, from, end) in tokenizer.FindAddedTokens(text.Value, (token, at) => !token.Special || IsOwn(text, at, token.Content.Length)))
        {
            if (token is not null)
            {
                ids.Add(token.Id);
                isLearned.Add(Overlaps(from, end));
                start = PartStart.AddedToken;
                continue;
            }

            var done = from;
            foreach (var cut in source.Cuts.Where(cut => cut > from && cut < end).Append(end))
            {
                Add(done, cut, start);
                start = PartStart.OtherText;
                done = cut;
            }
        }
    }

    /// <summary>The ids of a text.</summary>
    public static int[] Encode(PretrainedTokenizer tokenizer, MarkedText text)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        return [.. new ChatTokens(tokenizer, new LearnedText(text, [], [], [], IsStable: true)).ids];
    }

    /// <summary>The ids of a text, and for each whether it is learned: whether any of its characters is.</summary>
    public static (int[] Ids, bool[] IsLearned) EncodeForTraining(PretrainedTokenizer tokenizer, LearnedText text)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        var tokens = new ChatTokens(tokenizer, text);
        return ([.. tokens.ids], [.. tokens.isLearned]);
    }

    private static bool IsOwn(MarkedText text, int start, int length)
    {
        for (var i = start; i < start + length; i++)
        {
            if ((text.MarkAt(i) & MarkedText.ConversationBit) != 0) return false;
        }

        return true;
    }

    private bool Overlaps(int start, int end) => source.Spans.Any(span => span.Start < end && span.End > start);

    /// <summary>Appends the ids of text without markers.</summary>
    private void Add(int from, int end, PartStart start)
    {
        var first = ids.Count;
        tokenizer.EncodeText(source.Text.Value[from..end], start, ids);
        if (!Overlaps(from, end) || source.Spans.Any(span => span.Start <= from && span.End >= end))
        {
            var all = Overlaps(from, end);
            for (var i = first; i < ids.Count; i++) isLearned.Add(all);
            return;
        }

        // Some characters are learned and some are not. Which token has which is told by their bytes, counted from the end, as something may be put before a text, but nothing behind it.
        var (position, left) = (end, 0);
        var flags = new bool[ids.Count - first];
        for (var i = ids.Count - 1; i >= first; i--)
        {
            var last = position;
            for (left += tokenizer.BytesOf(ids[i]).Length; left > 0 && position > from;)
            {
                var size = position - from > 1 && char.IsSurrogatePair(source.Text.Value[position - 2], source.Text.Value[position - 1]) ? 2 : 1;
                position -= size;
                left -= Encoding.UTF8.GetByteCount(source.Text.Value.AsSpan(position, size));
            }

            // A token of some bytes of a character has that character.
            flags[i - first] = Overlaps(position, Math.Max(last, position + 1));
        }

        isLearned.AddRange(flags);
    }
}
