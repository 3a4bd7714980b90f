using System.Globalization;
using Fossil.Training;

namespace Fossil.Models.Chat;

/// <summary>Llama 3; from 3.1 on with two dates at the head of the system message.</summary>
internal sealed class Llama3Template : ChatTemplate
{
    // What the templates of 3.1 and later say where nobody tells them the date.
    private const string FixedDate = "26 Jul 2024";

    private readonly string bosToken;
    private readonly bool hasDates;
    private readonly bool asksForDate;

    public Llama3Template(string jinja, string bosToken)
        : base(ChatFamily.Llama3)
    {
        this.bosToken = bosToken;
        hasDates = jinja.Contains("Cutting Knowledge Date: ", StringComparison.Ordinal);
        asksForDate = jinja.Contains("strftime_now", StringComparison.Ordinal);
    }

    public override string EndOfTurn => "<|eot_id|>";

    private protected override void Render(IReadOnlyList<ConversationTurn> messages, bool addGenerationPrompt, List<ChatPart> parts)
    {
        parts.Add(new ChatPart(ChatPartKind.Markup, bosToken));
        if (hasDates)
        {
            var date = asksForDate ? DateTime.Now.ToString("dd MMM yyyy", CultureInfo.InvariantCulture) : FixedDate;
            var (system, rest) = messages[0].Role == SystemRole ? (messages[0].Content, messages.Skip(1)) : (string.Empty, messages);
            parts.Add(new ChatPart(ChatPartKind.Markup, $"{Header(SystemRole)}Cutting Knowledge Date: December 2023\nToday Date: {date}\n\n"));
            parts.Add(new ChatPart(ChatPartKind.Content, system.Trim()));
            parts.Add(new ChatPart(ChatPartKind.Markup, EndOfTurn));
            messages = [.. rest];
        }

        foreach (var (role, content) in messages)
        {
            var isAnswer = role == AssistantRole;
            parts.Add(new ChatPart(ChatPartKind.Markup, Header(role)));
            parts.Add(new ChatPart(isAnswer ? ChatPartKind.Answer : ChatPartKind.Content, content.Trim()));
            parts.Add(new ChatPart(isAnswer ? ChatPartKind.AnswerEnd : ChatPartKind.Markup, EndOfTurn));
        }

        if (addGenerationPrompt) parts.Add(new ChatPart(ChatPartKind.Markup, Header(AssistantRole)));
    }

    private static string Header(string role) => $"<|start_header_id|>{role}<|end_header_id|>\n\n";
}
