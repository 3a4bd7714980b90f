using Fossil.Models.Tokenizers;
using Fossil.Training;

namespace Fossil.Models.Chat;

/// <summary>The families of chat templates that are known.</summary>
public enum ChatFamily
{
    /// <summary><c>[INST] &lt;&lt;SYS&gt;&gt;…[/INST]</c>.</summary>
    Llama2,

    /// <summary><c>&lt;|start_header_id|&gt;user&lt;|end_header_id|&gt;…&lt;|eot_id|&gt;</c>.</summary>
    Llama3,

    /// <summary><c>&lt;|im_start|&gt;user…&lt;|im_end|&gt;</c>, as SmolLM2 has it.</summary>
    ChatML,

    /// <summary><c>[INST]…[/INST]</c>.</summary>
    Mistral,

    /// <summary>ChatML with Qwen's default instructions, or (Qwen3) thoughts.</summary>
    Qwen,
}

/// <summary>
/// How a model wants a conversation written. Checkpoints carry that as a Jinja program; this library does not run it, but tells
/// the common ones apart by their text and writes what they would, as transformers' <c>apply_chat_template</c> does without tools.
/// </summary>
public abstract class ChatTemplate
{
    private protected const string SystemRole = "system";
    private protected const string UserRole = "user";
    private protected const string AssistantRole = "assistant";

    private protected ChatTemplate(ChatFamily family) => Family = family;

    /// <summary>The family.</summary>
    public ChatFamily Family { get; }

    /// <summary>The marker that ends an answer, at which generation should stop.</summary>
    public abstract string EndOfTurn { get; }

    /// <summary>Recognises a template.</summary>
    /// <param name="jinja">The template's text, as in <c>tokenizer_config.json</c> or a GGUF file.</param>
    /// <param name="bosToken">The text of the token that begins a text; some templates put it first.</param>
    /// <param name="eosToken">The text of the token that ends a text; some templates put it after answers.</param>
    /// <exception cref="ChatTemplateException">It is of no known family.</exception>
    public static ChatTemplate Recognize(string jinja, string bosToken = "", string eosToken = "")
    {
        ArgumentNullException.ThrowIfNull(jinja);
        bool Has(string text) => jinja.Contains(text, StringComparison.Ordinal);
        if (Has("<|im_start|>") && Has("<|im_end|>")) return new ChatMLTemplate(jinja);
        if (Has("<|start_header_id|>") && Has("<|eot_id|>")) return new Llama3Template(jinja, bosToken);
        if (Has("[INST]") && Has("<<SYS>>")) return new Llama2Template(bosToken, eosToken);
        if (Has("[INST]") && Has("[/INST]") && MistralTemplate.TryRead(jinja, bosToken, eosToken) is { } mistral) return mistral;
        var start = jinja.Length <= 100 ? jinja : jinja[..100] + "…";
        throw new ChatTemplateException($"The chat template is of no known family (Llama 2, Llama 3, ChatML as SmolLM2 has it, Mistral, Qwen); it begins with: {start.ReplaceLineEndings(" ")} Write the prompt yourself, markers included.");
    }

    /// <summary>Recognises the template of a tokenizer.</summary>
    /// <exception cref="ChatTemplateException">There is none, or it is of no known family.</exception>
    public static ChatTemplate Of(PretrainedTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        string Text(int? id) => id is { } token ? tokenizer.Decode([token]) : string.Empty;
        return Recognize(
            tokenizer.ChatTemplate ?? throw new ChatTemplateException("The model has no chat template: it was not trained on conversations. Write the prompt yourself."),
            Text(tokenizer.BosTokenId),
            Text(tokenizer.EosTokenId));
    }

    /// <summary>Writes a conversation as parts, which together are the text.</summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="addGenerationPrompt">Whether to end with the beginning of the next answer.</param>
    /// <exception cref="ChatTemplateException">The template does not take these roles in this order.</exception>
    public IReadOnlyList<ChatPart> Render(IReadOnlyList<ConversationTurn> messages, bool addGenerationPrompt = false)
    {
        ArgumentNullException.ThrowIfNull(messages);
        if (messages.Count == 0) throw new ChatTemplateException("A conversation without messages cannot be written.");
        if (messages.FirstOrDefault(message => message.Role is not (SystemRole or UserRole or AssistantRole)) is { } unknown)
        {
            throw new ChatTemplateException($"A message has the role '{unknown.Role}'; known are {SystemRole}, {UserRole} and {AssistantRole}.");
        }

        var parts = new List<ChatPart>();
        Render(messages, addGenerationPrompt, parts);
        parts.RemoveAll(part => part.Text.Length == 0);
        return parts;
    }

    /// <summary>Writes a conversation as text.</summary>
    /// <inheritdoc cref="Render(IReadOnlyList{ConversationTurn}, bool)"/>
    public string Apply(IReadOnlyList<ConversationTurn> messages, bool addGenerationPrompt = false) => string.Concat(Render(messages, addGenerationPrompt).Select(part => part.Text));

    /// <summary>Writes a conversation as ids. Markers that somebody wrote into a message stay text, so nobody can end a turn but the template.</summary>
    /// <inheritdoc cref="Render(IReadOnlyList{ConversationTurn}, bool)"/>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="messages">The conversation.</param>
    /// <param name="addGenerationPrompt">Whether to end with the beginning of the next answer.</param>
    public int[] Encode(PretrainedTokenizer tokenizer, IReadOnlyList<ConversationTurn> messages, bool addGenerationPrompt = false) =>
        Tokenize(tokenizer, Render(messages, addGenerationPrompt)).Ids;

    /// <summary>Writes a conversation for fine-tuning: its ids, and for each whether it belongs to an answer or its end and so is to be learned.</summary>
    /// <remarks>An answer's ids begin where generation would begin, whatever the answer's first character.</remarks>
    /// <inheritdoc cref="Render(IReadOnlyList{ConversationTurn}, bool)"/>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="messages">The conversation.</param>
    public (int[] Ids, bool[] IsLearned) EncodeForTraining(PretrainedTokenizer tokenizer, IReadOnlyList<ConversationTurn> messages) =>
        Tokenize(tokenizer, Render(messages));

    private protected abstract void Render(IReadOnlyList<ConversationTurn> messages, bool addGenerationPrompt, List<ChatPart> parts);

    /// <summary>The instructions at the start (null where there are none), and the turns after them, which must alternate beginning with the user's.</summary>
    private protected static (string? System, List<ConversationTurn> Turns) SplitAlternating(IReadOnlyList<ConversationTurn> messages)
    {
        var system = messages[0].Role == SystemRole ? messages[0].Content : null;
        var turns = messages.Skip(system is null ? 0 : 1).ToList();
        for (var i = 0; i < turns.Count; i++)
        {
            var expected = i % 2 == 0 ? UserRole : AssistantRole;
            if (turns[i].Role != expected) throw new ChatTemplateException($"This model's conversations alternate between user and assistant after an optional system message; message {i + messages.Count - turns.Count} is the {turns[i].Role}'s instead of the {expected}'s.");
        }

        if (turns.Count == 0) throw new ChatTemplateException("This model's conversations need a message of the user.");
        return (system, turns);
    }

    private static (int[] Ids, bool[] IsLearned) Tokenize(PretrainedTokenizer tokenizer, IReadOnlyList<ChatPart> parts)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        var ids = new List<int>();
        var isLearned = new List<bool>();
        var pending = string.Empty;
        var pendingIsLearned = false;
        var start = PartStart.Text;

        void Mark(bool learned) => isLearned.AddRange(Enumerable.Repeat(learned, ids.Count - isLearned.Count));

        void Flush()
        {
            if (pending.Length == 0) return;
            tokenizer.EncodePart(pending, start, parseSpecialTokens: false, ids);
            Mark(pendingIsLearned);
            (pending, start) = (string.Empty, PartStart.OtherText);
        }

        foreach (var part in parts)
        {
            var learned = part.Kind is ChatPartKind.Answer or ChatPartKind.AnswerEnd;
            if (learned != pendingIsLearned) Flush();
            pendingIsLearned = learned;
            if (part.Kind is ChatPartKind.Content or ChatPartKind.Answer)
            {
                pending += part.Text;
                continue;
            }

            foreach (var (token, text) in tokenizer.FindAddedTokens(part.Text))
            {
                pending += text;
                if (token is null) continue;
                Flush();
                ids.Add(token.Id);
                Mark(learned);
                start = PartStart.AddedToken;
            }
        }

        Flush();
        return ([.. ids], [.. isLearned]);
    }
}
