using System.Text.RegularExpressions;
using Fossil.Training;

namespace Fossil.Models.Chat;

/// <summary>Mistral: its versions differ in the spaces around the markers and in where the system message goes, which is read from the template's text.</summary>
internal sealed partial class MistralTemplate : ChatTemplate
{
    private const string SystemMessage = "system_message";

    private readonly string bosToken;
    private readonly string eosToken;
    private readonly string open;
    private readonly string close;
    private readonly string beforeAnswer;
    private readonly string afterAnswer;
    private readonly bool trimsAnswer;
    private readonly SystemPlace systemPlace;
    private readonly string systemOpen;

    private MistralTemplate(string jinja, string bosToken, string eosToken, Match openMatch, Match closeMatch, Match answer)
        : base(ChatFamily.Mistral)
    {
        this.bosToken = bosToken;
        this.eosToken = eosToken;
        open = openMatch.Groups["text"].Value;
        close = closeMatch.Groups["text"].Value;
        beforeAnswer = answer.Groups["before"].Success ? " " : string.Empty;
        afterAnswer = answer.Groups["after"].Success ? " " : string.Empty;
        trimsAnswer = answer.Groups["trim"].Success;
        var systemMarker = SystemOpen().Match(jinja);
        systemOpen = systemMarker.Groups["text"].Value;
        systemPlace = systemMarker.Success ? SystemPlace.OwnMarkers
            : !jinja.Contains(SystemMessage, StringComparison.Ordinal) ? SystemPlace.None
            : jinja.Contains("loop.first and " + SystemMessage, StringComparison.Ordinal) ? SystemPlace.FirstQuestion
            : jinja.Contains("loop.last and " + SystemMessage, StringComparison.Ordinal) ? SystemPlace.LastMessage
            : SystemPlace.LastQuestion;
    }

    private enum SystemPlace
    {
        None,
        FirstQuestion,
        LastMessage,
        LastQuestion,
        OwnMarkers,
    }

    public override string EndOfTurn => eosToken;

    /// <summary>Reads a template's spaces; null where it does not have the form of Mistral's.</summary>
    public static MistralTemplate? TryRead(string jinja, string bosToken, string eosToken)
    {
        var (open, close, answer) = (Open().Match(jinja), Close().Match(jinja), Answer().Match(jinja));
        return open.Success && close.Success && answer.Success ? new MistralTemplate(jinja, bosToken, eosToken, open, close, answer) : null;
    }

    private protected override void Render(IReadOnlyList<ConversationTurn> messages, bool addGenerationPrompt, List<ChatPart> parts)
    {
        // The question's closing marker is all the beginning that an answer has, so there is nothing to add for generation.
        var (system, turns) = SplitAlternating(messages);
        if (system is not null && systemPlace == SystemPlace.None) throw new ChatTemplateException("This model's chat template takes no system message. Put the instructions into the user's first message.");
        parts.Add(new ChatPart(ChatPartKind.Markup, bosToken));
        if (system is not null && systemPlace == SystemPlace.OwnMarkers)
        {
            parts.Add(new ChatPart(ChatPartKind.Markup, systemOpen));
            parts.Add(new ChatPart(ChatPartKind.Content, system));
            parts.Add(new ChatPart(ChatPartKind.Markup, "[/SYSTEM_PROMPT]"));
            system = null;
        }

        // Some templates look at the last message, whoever's it is: a conversation that ends with an answer loses its instructions there.
        var systemAt = systemPlace switch
        {
            SystemPlace.LastMessage => turns.Count - 1,
            SystemPlace.LastQuestion => (turns.Count - 1) / 2 * 2,
            _ => 0,
        };
        for (var i = 0; i < turns.Count; i++)
        {
            var (role, content) = turns[i];
            if (role == AssistantRole)
            {
                parts.Add(new ChatPart(ChatPartKind.Answer, beforeAnswer + (trimsAnswer ? content.Trim() : content)));
                parts.Add(new ChatPart(ChatPartKind.AnswerEnd, eosToken));
                parts.Add(new ChatPart(ChatPartKind.Markup, afterAnswer));
                continue;
            }

            parts.Add(new ChatPart(ChatPartKind.Markup, open));
            parts.Add(new ChatPart(ChatPartKind.Content, system is not null && i == systemAt ? $"{system}\n\n{content}" : content));
            parts.Add(new ChatPart(ChatPartKind.Markup, close));
        }
    }

    [GeneratedRegex("""['"](?<text> ?\[INST\] ?)['"]""")]
    private static partial Regex Open();

    [GeneratedRegex("""['"](?<text> ?\[/INST\])['"]""")]
    private static partial Regex Close();

    [GeneratedRegex("""['"](?<text>\[SYSTEM_PROMPT\] ?)['"]""")]
    private static partial Regex SystemOpen();

    [GeneratedRegex("""(?<before>['"] ['"]\s*\+\s*)?message(?:\[['"]content['"]\]|\.content)(?<trim>\s*\|\s*trim)?\s*\+\s*eos_token(?<after>\s*\+\s*['"] ['"])?""")]
    private static partial Regex Answer();
}
