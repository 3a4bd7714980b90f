using System.Text.Json.Nodes;
using Fossil.Models.Chat;
using Fossil.Models.Tokenizers;
using Fossil.Training;

namespace Fossil.Models.Data;

/// <summary>Turns examples into tokens, and keeps count of what no text says.</summary>
/// <param name="tokenizer">The model's tokenizer.</param>
/// <param name="template">How conversations are written; null: that of the tokenizer, while a prompt and its completion are text as they stand.</param>
internal sealed class ExampleEncoder(PretrainedTokenizer tokenizer, ChatTemplate? template)
{
    private const string Developer = "developer";

    private readonly Lazy<ChatTemplate?> chosen = new(() => template ?? (tokenizer.ChatTemplates.Count > 0 ? ChatTemplate.Of(tokenizer) : null));

    /// <summary>What the examples are, and the fields of which nothing is in the text.</summary>
    public DataCounts Counts { get; } = new();

    /// <exception cref="TrainingDataException">The template does not fit the example; it names file and line.</exception>
    public TokenExample Encode(DataExample example)
    {
        Counts.AddRow(example.Row.Path, example.Fields);
        if (example.Form == DataForm.Conversation) foreach (var message in example.Messages) Counts.AddRole((string)message!["role"]!);
        var encoded = Write(example);
        Counts.AddExample(encoded.InputIds.Length);
        return encoded;
    }

    private TokenExample Write(DataExample example)
    {
        foreach (var field in example.IgnoredFields) Ignore(field);
        if (example.Rejected is not null) Ignore("rejected");
        if (example.Form == DataForm.Text) return PlainText.Encode(tokenizer, string.Empty, example.Text!);
        if (example.Form == DataForm.PromptCompletion && template is null)
        {
            IgnoreExtras(example);
            return PlainText.Encode(tokenizer, Content(example, 0), Content(example, 1));
        }

        if (example.Form == DataForm.Instruction && chosen.Value is null)
        {
            if (example.Messages.Count > 2) throw example.Row.Error("The row has a system message or a history, and the model has no chat template that could write them.");
            IgnoreExtras(example);
            return PlainText.Encode(tokenizer, PlainText.Instruction(Content(example, 0)), Content(example, 1));
        }

        return EncodeChat(example, chosen.Value ?? throw example.Row.Error("The model has no chat template: it was not trained on conversations. Give one, or prompts with completions."));
    }

    private TokenExample EncodeChat(DataExample example, ChatTemplate chat)
    {
        var messages = example.Messages;
        var options = new ChatTemplateOptions { Tools = example.Tools, Documents = example.Documents, Variables = example.Variables };
        // To OpenAI, a developer's message is what a system message was before; a template that does not know the name would leave it out or take it for a user's.
        if (!chat.Mentions(Developer, options)) messages = Replace(messages, message => (string?)message["role"] == Developer, message => message["role"] = "system");
        ChatExample encoded;
        try
        {
            encoded = chat.EncodeForTraining(tokenizer, messages, options, example.IsLearned);
        }
        catch (ChatTemplateException exception) when (HasArguments(messages))
        {
            // Some templates want the arguments of a call as OpenAI writes them, JSON in a string.
            try
            {
                encoded = chat.EncodeForTraining(tokenizer, QuoteArguments(messages), options, example.IsLearned);
            }
            catch (ChatTemplateException)
            {
                throw example.Row.Error(exception.Message, exception);
            }
        }
        catch (ChatTemplateException exception)
        {
            throw example.Row.Error(exception.Message, exception);
        }

        var missing = WrittenText.Check(encoded.Text, messages, options);
        if (missing.Refused is { } refused) throw example.Row.Error($"The chat template does not write {refused}, which would be lost. Take it out of the data, or give another template.");
        foreach (var field in missing.Ignored) Ignore(field);
        foreach (var (name, _) in example.Variables ?? []) if (!chat.Mentions(name, options)) Ignore("chat_template_kwargs." + name);
        return new(encoded.Ids, encoded.IsLearned);
    }

    private static bool HasArguments(JsonArray messages) => messages.Any(message => message!["tool_calls"] is not null);

    private static JsonArray QuoteArguments(JsonArray messages) => Replace(messages, message => message["tool_calls"] is not null, message =>
    {
        foreach (var call in (JsonArray)message["tool_calls"]!)
        {
            if (call!["function"] is JsonObject function && function["arguments"] is JsonObject arguments) function["arguments"] = WrittenText.ToJson(arguments);
        }
    });

    private static JsonArray Replace(JsonArray messages, Func<JsonObject, bool> which, Action<JsonObject> change)
    {
        if (!messages.Any(message => which((JsonObject)message!))) return messages;
        var copy = (JsonArray)messages.DeepClone();
        foreach (var message in copy.Select(message => (JsonObject)message!).Where(which)) change(message);
        return copy;
    }

    private static string Content(DataExample example, int message) => (string)example.Messages[message]!["content"]!;

    private void IgnoreExtras(DataExample example)
    {
        if (example.Tools is not null) Ignore("tools");
        if (example.Documents is not null) Ignore("documents");
        if (example.Variables is not null) Ignore("chat_template_kwargs");
    }

    private void Ignore(string field) => Counts.AddIgnored(field);
}
