using Fossil.Models.Chat.Jinja;

namespace Fossil.Models.Chat;

/// <summary>A conversation's text, and what of it is to be learned.</summary>
/// <param name="Text">The text.</param>
/// <param name="Spans">What is learned, in order.</param>
/// <param name="Cuts">Where generation would begin: no token stands across these places.</param>
/// <param name="UnlearnedAnswers">The messages that are answers and yet not learned.</param>
/// <param name="IsStable">Whether each answer stands where it would have been generated, behind the same text.</param>
internal sealed record LearnedText(MarkedText Text, IReadOnlyList<(int Start, int End)> Spans, IReadOnlyList<int> Cuts, IReadOnlyList<int> UnlearnedAnswers, bool IsStable)
{
    /// <summary>Finds what is learned of a conversation.</summary>
    /// <param name="template">The template.</param>
    /// <param name="conversation">The conversation.</param>
    /// <param name="mayLearn">For each message whether it may be learned; null: every answer.</param>
    /// <exception cref="ChatTemplateException">The template refuses the conversation, or none of its answers can be learned.</exception>
    public static LearnedText Of(ChatTemplate template, ChatConversation conversation, IReadOnlyList<bool>? mayLearn = null)
    {
        var finder = new Finder(template, conversation, mayLearn);
        var learned = template.Choose(conversation.Options).HasGenerationBlocks && finder.OfBlocks() is { } ofBlocks ? ofBlocks : finder.OfPrefixes();
        if (learned.UnlearnedAnswers.Count > 0 && learned.Spans.Count == 0)
        {
            throw new ChatTemplateException("No answer of the conversation can be learned: the chat template writes them differently from what the model would answer, or leaves them out. End the conversation with an answer, or write the text yourself.");
        }

        return learned;
    }

    private sealed class Finder(ChatTemplate template, ChatConversation conversation, IReadOnlyList<bool>? mayLearn)
    {
        private readonly MarkedText text = template.Render(conversation);
        private readonly int[] answers = [.. Enumerable.Range(0, conversation.Messages.Count).Where(conversation.IsAnswer)];

        private bool MayLearn(int answer) => mayLearn?[answer] != false;

        /// <summary>What <c>generation</c> blocks wrote; null where some answers are not to be learned, and which block is whose cannot be told.</summary>
        public LearnedText? OfBlocks()
        {
            var spans = new List<(int Start, int End)>();
            for (var i = 0; i < text.Value.Length; i++)
            {
                var mark = text.MarkAt(i);
                if ((mark & MarkedText.GenerationBit) == 0) continue;
                if (spans.Count > 0 && spans[^1].End == i && (mark & MarkedText.GenerationStartBit) == 0) spans[^1] = (spans[^1].Start, i + 1);
                else spans.Add((i, i + 1));
            }

            if (!answers.All(MayLearn))
            {
                if (spans.Count != answers.Length) return null;
                spans = [.. spans.Where((_, index) => MayLearn(answers[index]))];
            }

            // Where the text before an answer is not as it was when the answer was generated, its block's start has to do.
            var starts = answers.Select(StartOf).ToList();
            return new LearnedText(text, spans, [.. starts.Contains(null) ? starts.OfType<int>().Concat(spans.Select(span => span.Start)).Distinct().Order() : starts.OfType<int>()], [], IsStable: true);
        }

        /// <summary>What each answer adds to the text before it, with the beginning of an answer.</summary>
        public LearnedText OfPrefixes()
        {
            var spans = new List<(int Start, int End)>();
            var unlearned = new List<int>();
            var isStable = true;
            foreach (var answer in answers.Where(MayLearn))
            {
                var start = StartOf(answer);
                isStable &= start is not null;
                if (answer == answers[^1]) start ??= StartOfText(answer, TryRender(answer, addGenerationPrompt: false));
                if (start is { } from && EndOf(answer, from) is { } to && to > from && (spans.Count == 0 || from >= spans[^1].End)) spans.Add((from, to));
                else unlearned.Add(answer);
            }

            return new LearnedText(text, spans, [.. spans.Select(span => span.Start)], unlearned, isStable && unlearned.Count == 0);
        }

        /// <summary>Where generation of an answer would have begun; null where the text before it is another by now. White space at the end of the answer's beginning may differ.</summary>
        private int? StartOf(int answer)
        {
            if (TryRender(answer, addGenerationPrompt: true) is not { } prompt) return null;
            if (text.Value.StartsWith(prompt.Value, StringComparison.Ordinal)) return prompt.Value.Length;
            return text.Value.StartsWith(prompt.Value.TrimEnd(), StringComparison.Ordinal) ? StartOfText(answer, new MarkedText(prompt.Value.TrimEnd())) : null;
        }

        /// <summary>
        /// Where an answer's own text begins: where an answer begins to differ that has nothing in common with any. Null where the messages before are written otherwise by now, which would be taken for it.
        /// </summary>
        private int? StartOfText(int answer, MarkedText? before)
        {
            if (TryRender(conversation.Until(answer, addGenerationPrompt: false).And(ChatConversation.Answer(TurnProbe.Answer))) is not { } probe) return null;
            var start = text.Value.AsSpan().CommonPrefixLength(probe.Value);
            var isWritten = probe.Value.AsSpan(start).StartsWith(TurnProbe.Answer, StringComparison.Ordinal);
            return isWritten || (before is not null && text.Value.StartsWith(before.Value, StringComparison.Ordinal)) ? start : null;
        }

        /// <summary>Where an answer ends: behind its end marker, or where there is none behind all that the template writes; null where the text up to there is another by now.</summary>
        private int? EndOf(int answer, int start)
        {
            var isLast = answer == conversation.Messages.Count - 1;
            if ((isLast ? text : TryRender(answer + 1, addGenerationPrompt: false)) is not { } upTo || upTo.Value.Length < start) return null;
            var said = upTo.Value.Length;
            while (said > start && (upTo.MarkAt(said - 1) & MarkedText.ConversationBit) == 0) said--;
            var same = text.Value.AsSpan().CommonPrefixLength(upTo.Value);
            var end = EndMarker(upTo.Value, said) ?? Math.Max(said, same);
            return end <= same ? end : null;
        }

        /// <summary>The end of the marker behind what was said, which may be followed by white space or, where a template always writes it, the beginning of the next answer.</summary>
        private int? EndMarker(string upTo, int said)
        {
            if (template.EndOfTurn is { Length: > 0 } marker && upTo.IndexOf(marker, said, StringComparison.Ordinal) is >= 0 and var at) return at + marker.Length;
            var trimmed = upTo.AsSpan(said).TrimEnd();
            foreach (var other in template.Markers)
            {
                if (trimmed.EndsWith(other, StringComparison.Ordinal)) return said + trimmed.Length;
            }

            return null;
        }

        /// <summary>The text of the first messages, which may be none; null where the template does not take them alone.</summary>
        private MarkedText? TryRender(int count, bool addGenerationPrompt) => TryRender(conversation.Until(count, addGenerationPrompt));

        private MarkedText? TryRender(ChatConversation part)
        {
            try
            {
                return template.Render(part);
            }
            catch (ChatTemplateException exception) when (exception.Kind != ChatTemplateErrorKind.Limit)
            {
                return null;
            }
        }
    }
}
