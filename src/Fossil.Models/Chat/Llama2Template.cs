using Fossil.Training;

namespace Fossil.Models.Chat;

/// <summary>Llama 2: the system message stands inside the user's first one, and each exchange begins with the BOS token.</summary>
internal sealed class Llama2Template(string bosToken, string eosToken) : ChatTemplate(ChatFamily.Llama2)
{
    public override string EndOfTurn => eosToken;

    private protected override void Render(IReadOnlyList<ConversationTurn> messages, bool addGenerationPrompt, List<ChatPart> parts)
    {
        // The question's closing marker is all the beginning that an answer has, so there is nothing to add for generation.
        var (system, turns) = SplitAlternating(messages);
        foreach (var (role, content) in turns)
        {
            if (role == AssistantRole)
            {
                parts.Add(new ChatPart(ChatPartKind.Answer, $" {content.Trim()} "));
                parts.Add(new ChatPart(ChatPartKind.AnswerEnd, eosToken));
                continue;
            }

            parts.Add(new ChatPart(ChatPartKind.Markup, bosToken + "[INST] "));
            parts.Add(new ChatPart(ChatPartKind.Content, (system is null ? content : $"<<SYS>>\n{system}\n<</SYS>>\n\n{content}").Trim()));
            parts.Add(new ChatPart(ChatPartKind.Markup, " [/INST]"));
            system = null;
        }
    }
}
