using Fossil.Models.Chat.Jinja;

namespace Fossil.Models.Chat;

/// <summary>A conversation's text, and what of it is to be learned.</summary>
/// <param name="Text">The text.</param>
/// <param name="Spans">What is learned, in order.</param>
/// <param name="Cuts">Where generation would begin: no token stands across these places.</param>
/// <param name="UnlearnedAnswers">The messages that are answers and yet not learned.</param>
internal sealed record LearnedText(MarkedText Text, IReadOnlyList<(int Start, int End)> Spans, IReadOnlyList<int> Cuts, IReadOnlyList<int> UnlearnedAnswers)
{
    /// <summary>Finds what is learned of a conversation.</summary>
    /// <exception cref="ChatTemplateException">The template refuses the conversation, or none of its answers can be learned.</exception>
    public static LearnedText Of(ChatTemplate template, ChatConversation conversation)
    {
        var finder = new Finder(template, conversation);
        var learned = template.Choose(conversation.Options).HasGenerationBlocks ? finder.OfBlocks() : finder.OfPrefixes();
        if (learned.UnlearnedAnswers.Count > 0 && learned.Spans.Count == 0)
        {
            throw new ChatTemplateException("No answer of the conversation can be learned: the chat template writes them differently from what the model would answer, or leaves them out. End the conversation with an answer, or write the text yourself.");
        }

        return learned;
    }

    private sealed class Finder(ChatTemplate template, ChatConversation conversation)
    {
        private readonly MarkedText text = template.Render(conversation);
        private readonly int[] answers = [.. Enumerable.Range(0, conversation.Messages.Count).Where(conversation.IsAnswer)];

        /// <summary>What <c>generation</c> blocks wrote.</summary>
        public LearnedText OfBlocks()
        {
            var spans = new List<(int Start, int End)>();
            for (var i = 0; i < text.Value.Length; i++)
            {
                var mark = text.MarkAt(i);
                if ((mark & MarkedText.GenerationBit) == 0) continue;
                if (spans.Count > 0 && spans[^1].End == i && (mark & MarkedText.GenerationStartBit) == 0) spans[^1] = (spans[^1].Start, i + 1);
                else spans.Add((i, i + 1));
            }

            // Where the text before an answer is not as it was when the answer was generated, its block's start has to do.
            var starts = answers.Select(StartOf).ToList();
            return new LearnedText(text, spans, [.. starts.Contains(null) ? starts.OfType<int>().Concat(spans.Select(span => span.Start)).Distinct().Order() : starts.OfType<int>()], []);
        }

        /// <summary>What each answer adds to the text before it, with the beginning of an answer.</summary>
        public LearnedText OfPrefixes()
        {
            var spans = new List<(int Start, int End)>();
            var unlearned = new List<int>();
            foreach (var answer in answers)
            {
                var start = StartOf(answer) ?? (answer == answers[^1] ? StartOfLast(answer) : null);
                if (start is { } from && EndOf(answer, from) is { } to && to > from && (spans.Count == 0 || from >= spans[^1].End)) spans.Add((from, to));
                else unlearned.Add(answer);
            }

            return new LearnedText(text, spans, [.. spans.Select(span => span.Start)], unlearned);
        }

        /// <summary>Where generation of an answer would have begun; null where the text before it is another by now.</summary>
        private int? StartOf(int answer) => TryRender(answer, addGenerationPrompt: true) is { } before && text.Value.StartsWith(before.Value, StringComparison.Ordinal) ? before.Value.Length : null;

        /// <summary>
        /// Where the last answer begins whose beginning is written otherwise for generation (with an open thought, say): behind what both have, by an answer that has nothing in common with any.
        /// The messages before must be written as they stand, or they would be taken for part of it.
        /// </summary>
        private int? StartOfLast(int answer)
        {
            if (TryRender(answer, addGenerationPrompt: true) is not { } prompt || TryRender(answer, addGenerationPrompt: false) is not { } before) return null;
            if (!text.Value.StartsWith(before.Value, StringComparison.Ordinal) || !prompt.Value.StartsWith(before.Value, StringComparison.Ordinal)) return null;
            if (TryRender(conversation.Until(answer, addGenerationPrompt: false).And(ChatConversation.Answer(TurnProbe.Answer))) is not { } probe) return null;
            return Math.Min(prompt.Value.AsSpan().CommonPrefixLength(probe.Value), prompt.Value.AsSpan().CommonPrefixLength(text.Value));
        }

        /// <summary>Where an answer ends: behind its end marker, or where there is none behind all that the template writes; null where the text up to there is another by now.</summary>
        private int? EndOf(int answer, int start)
        {
            var isLast = answer == conversation.Messages.Count - 1;
            if ((isLast ? text : TryRender(answer + 1, addGenerationPrompt: false)) is not { } upTo || upTo.Value.Length < start) return null;
            var said = upTo.Value.Length;
            while (said > start && (upTo.MarkAt(said - 1) & MarkedText.ConversationBit) == 0) said--;
            var end = EndMarker(upTo.Value, said) ?? upTo.Value.Length;
            return text.Value.AsSpan().StartsWith(upTo.Value.AsSpan(0, end), StringComparison.Ordinal) ? end : null;
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
