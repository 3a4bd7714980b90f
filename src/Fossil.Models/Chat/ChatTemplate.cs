using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Fossil.Models.Chat.Jinja;
using Fossil.Models.Tokenizers;
using Fossil.Training;

namespace Fossil.Models.Chat;

/// <summary>
/// How a model wants a conversation written: the Jinja program that its tokenizer brings, run as transformers' <c>apply_chat_template</c> runs it. What a message, a tool, a document or a variable
/// says never becomes a marker; only what the template itself writes does.
/// </summary>
/// <remarks>Methods may be called from several threads at once. A template is somebody's file: it reads nothing but what it is given, and what it may do is bounded.</remarks>
public sealed class ChatTemplate
{
    // What the continued message ends in while the template runs; that of transformers.
    private const string ContinueTag = "CONTINUE_FINAL_MESSAGE_TAG ";
    private const string ToolUse = "tool_use";

    private readonly IReadOnlyDictionary<string, string> templates;
    private readonly IReadOnlyDictionary<string, string> specialTokens;
    private readonly IReadOnlyCollection<string> markers;
    private readonly ConcurrentDictionary<string, JinjaTemplate> parsed = new(StringComparer.Ordinal);
    private readonly Lazy<string> endOfTurn;
    private int hasWarned;

    private ChatTemplate(IReadOnlyDictionary<string, string> templates, IReadOnlyDictionary<string, string> specialTokens, IEnumerable<string> markers)
    {
        (this.templates, this.specialTokens, this.markers) = (templates, specialTokens, [.. markers.Where(marker => marker.Length > 0).Distinct()]);
        endOfTurn = new Lazy<string>(() => TurnProbe.FindEnd(this));
        if (templates.Count == 1) Find(templates.Values.First());
    }

    /// <summary>The names of the templates: "default", and others such as "tool_use" and "rag".</summary>
    public IReadOnlyCollection<string> Names => [.. templates.Keys];

    /// <summary>The marker that ends an answer, at which generation should stop; empty where the template writes none and there is no <c>eos_token</c>.</summary>
    /// <remarks>Found by having a short conversation written.</remarks>
    public string EndOfTurn => endOfTurn.Value;

    /// <summary>The texts that are tokens with a meaning where the template writes them.</summary>
    internal IReadOnlyCollection<string> Markers => markers;

    /// <summary>The text of the token that ends a text; empty where there is none.</summary>
    internal string EosToken => specialTokens.GetValueOrDefault("eos_token", string.Empty);

    /// <summary>Reads a template.</summary>
    /// <param name="jinja">The template's text, as in <c>tokenizer_config.json</c> or a GGUF file.</param>
    /// <param name="specialTokens">The texts of the tokens that the template knows by name: <c>bos_token</c>, <c>eos_token</c>, …; those that are missing are undefined in the template.</param>
    /// <exception cref="ChatTemplateException">It is not written in the template language.</exception>
    public static ChatTemplate Parse(string jinja, IReadOnlyDictionary<string, string>? specialTokens = null)
    {
        ArgumentNullException.ThrowIfNull(jinja);
        return Parse(new Dictionary<string, string> { [ChatTemplateFiles.Default] = jinja }, specialTokens);
    }

    /// <summary>Reads several templates, of which each conversation uses one (<see cref="ChatTemplateOptions.Template"/>).</summary>
    /// <param name="templates">The templates' texts by name.</param>
    /// <param name="specialTokens">The texts of the tokens that the templates know by name.</param>
    /// <exception cref="ChatTemplateException">There is one only, and it is not written in the template language; of several, each is read when it is used.</exception>
    public static ChatTemplate Parse(IReadOnlyDictionary<string, string> templates, IReadOnlyDictionary<string, string>? specialTokens = null)
    {
        ArgumentNullException.ThrowIfNull(templates);
        specialTokens ??= new Dictionary<string, string>();
        return new(templates, specialTokens, specialTokens.Values);
    }

    /// <summary>The template of a tokenizer, with its special tokens.</summary>
    /// <exception cref="ChatTemplateException">There is none, or it is not written in the template language.</exception>
    public static ChatTemplate Of(PretrainedTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        return tokenizer.ChatTemplates.Count > 0
            ? new(tokenizer.ChatTemplates, tokenizer.SpecialTokens, tokenizer.AddedTokens.Where(token => token.Special).Select(token => token.Content))
            : throw new ChatTemplateException("The model has no chat template: it was not trained on conversations. Write the prompt yourself.");
    }

    /// <summary>The ids at which an answer ends: <see cref="EndOfTurn"/> where it is a token, and the tokenizer's end of a text. For <see cref="GenerationOptions.AdditionalStopTokens"/>.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    public IReadOnlyList<int> StopTokens(PretrainedTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        return [.. new[] { tokenizer.IdOf(EndOfTurn), tokenizer.EosTokenId }.OfType<int>().Distinct()];
    }

    /// <summary>Writes a conversation as text.</summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="addGenerationPrompt">Whether to end with the beginning of the next answer.</param>
    /// <exception cref="ChatTemplateException">The template refuses the conversation, or fails.</exception>
    [OverloadResolutionPriority(1)]
    public string Apply(IReadOnlyList<ConversationTurn> messages, bool addGenerationPrompt = false) => Render(ChatConversation.Of(messages, Prompting(addGenerationPrompt))).Value;

    /// <summary>Writes a conversation as text.</summary>
    /// <param name="messages">The messages, JSON objects with whatever the template reads: <c>role</c>, <c>content</c> (text or parts), <c>tool_calls</c>, …</param>
    /// <param name="options">What else the template is given.</param>
    /// <exception cref="ChatTemplateException">The template refuses the conversation, or fails.</exception>
    public string Apply(JsonArray messages, ChatTemplateOptions? options = null) => Render(ChatConversation.Of(messages, options ?? new())).Value;

    /// <summary>Writes a conversation as ids. Markers that somebody wrote into a message stay text, so nobody can end a turn but the template.</summary>
    /// <inheritdoc cref="Apply(IReadOnlyList{ConversationTurn}, bool)"/>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="messages">The conversation.</param>
    /// <param name="addGenerationPrompt">Whether to end with the beginning of the next answer.</param>
    [OverloadResolutionPriority(1)]
    public int[] Encode(PretrainedTokenizer tokenizer, IReadOnlyList<ConversationTurn> messages, bool addGenerationPrompt = false) =>
        ChatTokens.Encode(tokenizer, Render(ChatConversation.Of(messages, Prompting(addGenerationPrompt))));

    /// <summary>Writes a conversation as ids. Markers that somebody wrote into a message stay text, so nobody can end a turn but the template.</summary>
    /// <inheritdoc cref="Apply(JsonArray, ChatTemplateOptions)"/>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="messages">The messages.</param>
    /// <param name="options">What else the template is given.</param>
    public int[] Encode(PretrainedTokenizer tokenizer, JsonArray messages, ChatTemplateOptions? options = null) => ChatTokens.Encode(tokenizer, Render(ChatConversation.Of(messages, options ?? new())));

    /// <summary>Writes a conversation for fine-tuning: its ids, and for each whether it belongs to an answer or its end and so is to be learned.</summary>
    /// <remarks>
    /// What <c>generation</c> blocks write is learned, where the template has them; otherwise what an answer adds to the text before it with the beginning of an answer, up to the marker that ends it.
    /// An answer's ids begin where generation would begin, whatever the answer's first character. Answers that the template writes differently once others follow are not learned, which is said once
    /// (<see cref="FossilWarnings"/>).
    /// </remarks>
    /// <inheritdoc cref="Apply(IReadOnlyList{ConversationTurn}, bool)"/>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="messages">The conversation.</param>
    [OverloadResolutionPriority(1)]
    public (int[] Ids, bool[] IsLearned) EncodeForTraining(PretrainedTokenizer tokenizer, IReadOnlyList<ConversationTurn> messages)
    {
        var (ids, isLearned, _) = EncodeForTraining(tokenizer, ChatConversation.Of(messages, new()));
        return (ids, isLearned);
    }

    /// <summary>Writes a conversation for fine-tuning: its ids, and for each whether it belongs to an answer or its end and so is to be learned.</summary>
    /// <remarks><inheritdoc cref="EncodeForTraining(PretrainedTokenizer, IReadOnlyList{ConversationTurn})" path="/remarks/node()"/></remarks>
    /// <inheritdoc cref="Apply(JsonArray, ChatTemplateOptions)"/>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="messages">The messages.</param>
    /// <param name="options">What else the template is given; no generation prompt, and no message to be continued.</param>
    public ChatExample EncodeForTraining(PretrainedTokenizer tokenizer, JsonArray messages, ChatTemplateOptions? options = null)
    {
        options ??= new();
        if (options.AddGenerationPrompt || options.ContinueFinalMessage) throw new ChatTemplateException("A conversation that is learned is whole: it takes neither AddGenerationPrompt nor ContinueFinalMessage.");
        return EncodeForTraining(tokenizer, ChatConversation.Of(messages, options));
    }

    /// <summary>The same, of which only some answers are learned.</summary>
    internal ChatExample EncodeForTraining(PretrainedTokenizer tokenizer, JsonArray messages, ChatTemplateOptions options, IReadOnlyList<bool> mayLearn) =>
        EncodeForTraining(tokenizer, ChatConversation.Of(messages, options), mayLearn);

    /// <summary>Whether the template that a conversation uses has a word in it, such as the name of a role or of a variable.</summary>
    internal bool Mentions(string word, ChatTemplateOptions options) => Choose(options).Text.Contains(word, StringComparison.Ordinal);

    /// <summary>Which template a conversation uses.</summary>
    /// <exception cref="ChatTemplateException">None fits.</exception>
    internal JinjaTemplate Choose(ChatTemplateOptions options)
    {
        if (options.Template is { } named) return Find(templates.GetValueOrDefault(named, named));
        if (options.Tools is not null && templates.TryGetValue(ToolUse, out var withTools)) return Find(withTools);
        return templates.TryGetValue(ChatTemplateFiles.Default, out var template)
            ? Find(template)
            : throw new ChatTemplateException($"None of the tokenizer's chat templates is the default one. Name one of {string.Join(", ", templates.Keys)} (ChatTemplateOptions.Template).");
    }

    /// <summary>Runs the template.</summary>
    /// <exception cref="ChatTemplateException">The template refuses the conversation, or fails.</exception>
    internal MarkedText Render(ChatConversation conversation)
    {
        var template = Choose(conversation.Options);
        if (!conversation.Options.ContinueFinalMessage) return Render(template, conversation);
        var tag = MarkedText.FromConversation(ContinueTag);
        var (tagged, continued) = conversation.TagFinalMessage(tag, template.Text);
        return CutAtTag(Render(template, tagged), continued);
    }

    private static ChatTemplateOptions Prompting(bool addGenerationPrompt) => new() { AddGenerationPrompt = addGenerationPrompt };

    private static MarkedText CutAtTag(MarkedText text, MarkedText continued)
    {
        var at = text.Value.LastIndexOf(ContinueTag.TrimEnd(), StringComparison.Ordinal);
        if (at < 0 || !text.Value.Contains(continued.Trim(PythonText.IsSpace).Value, StringComparison.Ordinal)) throw new ChatTemplateException("The template does not write the last message as it is, so it cannot be continued.");
        var before = text.Substring(0, at);

        // Where the template trims, what stands before is trimmed too.
        return text.Value.AsSpan(at).StartsWith(ContinueTag, StringComparison.Ordinal) ? before : before.Trim(PythonText.IsSpace, start: false);
    }

    private ChatExample EncodeForTraining(PretrainedTokenizer tokenizer, ChatConversation conversation, IReadOnlyList<bool>? mayLearn = null)
    {
        var learned = LearnedText.Of(this, conversation, mayLearn);
        if (!learned.IsStable && Interlocked.Exchange(ref hasWarned, 1) == 0)
        {
            FossilWarnings.Report("The chat template writes a conversation differently from what the model sees when it answers (it drops thoughts of earlier turns, for instance, or moves the instructions). Of such a conversation the last answer is learned, and earlier ones where they stand as they were answered.");
        }

        var (ids, isLearned) = ChatTokens.EncodeForTraining(tokenizer, learned);
        return new ChatExample(ids, isLearned, learned.UnlearnedAnswers) { Text = learned.Text.Value };
    }

    private MarkedText Render(JinjaTemplate template, ChatConversation conversation) => template.Render(conversation.Variables(specialTokens), conversation.Now);

    private JinjaTemplate Find(string text) => parsed.GetOrAdd(text, JinjaTemplate.Parse);
}
