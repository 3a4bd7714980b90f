using System.Text.Json.Nodes;

namespace Fossil.Models.Data;

/// <summary>
/// Messages as OpenAI, TRL and ShareGPT write them, made into what chat templates take: the roles system, developer, user, assistant and tool, text as a string, calls of tools as a list with objects as
/// arguments. Fields that are not known stay for the template to read.
/// </summary>
internal sealed class MessageReader(RowReader row)
{
    private static readonly Dictionary<string, string> Roles = new(StringComparer.Ordinal)
    {
        ["system"] = "system", ["developer"] = "developer",
        ["user"] = "user", ["human"] = "user",
        ["assistant"] = "assistant", ["gpt"] = "assistant", ["model"] = "assistant", ["chatgpt"] = "assistant", ["function_call"] = "assistant",
        ["tool"] = "tool", ["function"] = "tool", ["observation"] = "tool", ["function_response"] = "tool",
    };

    /// <summary>A list of messages, and for each whether its author lets it be learned (OpenAI's <c>weight</c>).</summary>
    public (List<JsonObject> Messages, List<bool> MayLearn) Read(JsonNode? node, string where)
    {
        if (RowReader.Unquote(node) is not JsonArray list) throw row.Error($"\"{where}\" must be an array, not {JsonNames.Of(node)}.");
        var read = list.Select((message, index) => Message(message, $"{where}[{index}]")).ToList();
        return (read.ConvertAll(message => message.Message), read.ConvertAll(message => message.MayLearn));
    }

    private (JsonObject Message, bool MayLearn) Message(JsonNode? node, string where)
    {
        if (node is not JsonObject source) throw row.Error($"{where} must be an object, not {JsonNames.Of(node)}.");
        // ShareGPT's names are from and value.
        var (roleField, contentField) = source["role"] is null && source["from"] is not null ? ("from", "value") : ("role", "content");
        var hasCalls = source["tool_calls"] is not null || source["function_call"] is not null;
        if (source[roleField] is null || (source[contentField] is null && !hasCalls)) throw row.Error($"{where} must have \"role\" and \"content\" (or \"from\" and \"value\").");
        var named = row.Text(source[roleField], $"{where}.{roleField}");
        if (!Roles.TryGetValue(named, out var role)) throw row.Error($"{where}.{roleField} is \"{RowReader.Shorten(named)}\"; it must be one of {string.Join(", ", Roles.Keys)}.");

        var message = new JsonObject { ["role"] = role };
        var mayLearn = role == "assistant";
        foreach (var (name, value) in source)
        {
            if (value is null || name == roleField) continue;
            if (name == contentField) AddContent(message, named, value, $"{where}.{name}");
            else if (name == "tool_calls") message[name] = Calls(value, $"{where}.{name}");
            else if (name == "function_call") message["tool_calls"] = new JsonArray(Call(value, $"{where}.{name}"));
            else if (name == "weight") mayLearn &= Weight(value, $"{where}.{name}");
            else message[name] = value.DeepClone();
        }

        if (role == "assistant" && !hasCalls && message["tool_calls"] is null && message["content"]!.GetValue<string>().Length == 0) throw row.Error($"{where}.{contentField} is empty, so there is nothing to learn.");
        return (message, mayLearn);
    }

    private void AddContent(JsonObject message, string role, JsonNode value, string where)
    {
        // The turn that ShareGPT gives to a call is the call itself, in JSON.
        if (role == "function_call") message["tool_calls"] = RowReader.Unquote(value) is JsonArray calls ? Calls(calls, where) : new JsonArray(Call(RowReader.Unquote(value), where));
        else message["content"] = value is JsonArray parts ? string.Concat(parts.Select((part, index) => Part(part, $"{where}[{index}]"))) : row.Text(value, where);
    }

    private string Part(JsonNode? node, string where)
    {
        if (node is not JsonObject part) throw row.Error($"{where} must be an object with \"type\" and \"text\", not {JsonNames.Of(node)}.");
        var type = part["type"] is { } named ? row.Text(named, $"{where}.type") : "text";
        if (type is not ("text" or "input_text" or "output_text")) throw row.Error($"{where}.type is \"{RowReader.Shorten(type)}\"; only text can be learned.");
        if (part.FirstOrDefault(field => field.Key is not ("type" or "text") && field.Value is not null).Key is { } other) throw row.Error($"{where}.{other} is not understood: a part of text has \"type\" and \"text\".");
        return row.Text(part["text"], $"{where}.text");
    }

    private JsonArray Calls(JsonNode value, string where)
    {
        if (RowReader.Unquote(value) is not JsonArray calls) throw row.Error($"{where} must be an array, not {JsonNames.Of(value)}.");
        return new JsonArray([.. calls.Select((call, index) => Call(call, $"{where}[{index}]"))]);
    }

    private JsonObject Call(JsonNode? node, string where)
    {
        if (node is not JsonObject call) throw row.Error($"{where} must be an object, not {JsonNames.Of(node)}.");
        var function = call["function"] is { } inner ? inner as JsonObject ?? throw row.Error($"{where}.function must be an object, not {JsonNames.Of(inner)}.") : call;
        if (function["name"] is null) throw row.Error($"{where} must have the \"name\" of a function.");
        row.Text(function["name"], $"{where}.name");

        // Calls lie in "function", and their arguments are an object: what templates read. OpenAI writes the arguments as JSON in a string.
        var copy = (JsonObject)function.DeepClone();
        if (copy["arguments"] is { } arguments) copy["arguments"] = RowReader.Unquote(arguments)?.DeepClone();
        if (ReferenceEquals(function, call)) return new JsonObject { ["type"] = "function", ["function"] = copy };
        var result = (JsonObject)call.DeepClone();
        result["function"] = copy;
        if (result["type"] is null) result["type"] = "function";
        return result;
    }

    private bool Weight(JsonNode value, string where) => value.ToJsonString() is "0" or "1" or "0.0" or "1.0"
        ? value.ToJsonString()[0] == '1'
        : throw row.Error($"{where} is {RowReader.Shorten(value.ToJsonString())}; a message is learned (1) or not (0).");
}
