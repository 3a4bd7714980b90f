using System.Text.RegularExpressions;
using Fossil.Models.Chat.Jinja;
using Fossil.Training;

namespace Fossil.Models.Chat;

/// <summary>Learns how a template writes an answer by having one written whose text nobody else writes.</summary>
internal static partial class TurnProbe
{
    /// <summary>The answer's text: a character of private use, which no template writes.</summary>
    public const string Answer = "\uE001";

    private const string Question = "\uE000";

    /// <summary>The marker behind an answer: the first token with a meaning that the template writes there, else its first word there, else the tokenizer's <c>eos_token</c>.</summary>
    public static string FindEnd(ChatTemplate template)
    {
        foreach (var conversation in Conversations())
        {
            MarkedText text;
            try
            {
                text = template.Render(ChatConversation.Of(conversation, new()));
            }
            catch (ChatTemplateException)
            {
                // Another template takes other conversations.
                continue;
            }

            var at = text.Value.LastIndexOf(Answer, StringComparison.Ordinal);
            if (at < 0) continue;
            return FirstMarker(text.Value[(at + Answer.Length)..], template.Markers) is { Length: > 0 } end ? end : template.EosToken;
        }

        return template.EosToken;
    }

    /// <summary>The first in a text of <paramref name="markers"/> or of what looks like one, the longest where several begin there; where there is none, the first word.</summary>
    private static string FirstMarker(string text, IReadOnlyCollection<string> markers) => markers.Concat(MarkerLike().Matches(text).Select(match => match.Value))
        .Select(marker => (At: text.IndexOf(marker, StringComparison.Ordinal), Text: marker)).Where(found => found.At >= 0)
        .OrderBy(found => found.At).ThenByDescending(found => found.Text.Length)
        .Select(found => found.Text).FirstOrDefault() ?? text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).FirstOrDefault() ?? string.Empty;

    [GeneratedRegex(@"<[^<>\s]+>|\[[^\[\]\s]+\]")]
    private static partial Regex MarkerLike();

    private static IEnumerable<ConversationTurn[]> Conversations()
    {
        ConversationTurn[] exchange = [new("user", Question), new("assistant", Answer)];
        yield return exchange;
        yield return [new("system", Question), .. exchange];
    }
}
