using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Fossil.Models.Chat;

namespace Fossil.Models.Tests.Chat;

/// <summary>Every template with every conversation, against transformers' own renderings.</summary>
public sealed partial class GoldenChatTests
{
    public static TheoryData<string> Templates() => GoldenChat.Names();

    [SkippableTheory]
    [MemberData(nameof(Templates))]
    public void Every_conversation_is_written_as_transformers_does(string name)
    {
        foreach (var golden in GoldenChat.Cases(name))
        {
            if (golden.Rendered is { } expected)
            {
                Assert.Equal($"{golden.Name}\n{expected}", $"{golden.Name}\n{golden.Template.Apply(golden.Messages, golden.Options)}");
                continue;
            }

            var failure = Assert.ThrowsAny<ChatTemplateException>(() => golden.Template.Apply(golden.Messages, golden.Options));
            if (golden.ErrorMessage is { } message) Assert.Equal((golden.Name, message), (golden.Name, failure.Message));
            if (golden.ErrorLine is { } line) Assert.Equal((golden.Name, line), (golden.Name, failure.Line));
            if (golden.ErrorKind is "template" or "syntax" or "undefined" or "security") Assert.Equal($"{golden.Name}: {golden.ErrorKind}", $"{golden.Name}: {failure.Kind}", ignoreCase: true);
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Templates))]
    public void What_generation_blocks_write_is_learned(string name)
    {
        foreach (var golden in GoldenChat.Cases(name))
        {
            if (golden.AssistantSpans is not { } expected) continue;
            var learned = LearnedText.Of(golden.Template, ChatConversation.Of(golden.Messages, golden.Options));
            int CodePoints(int index) => learned.Text.CodePointIndex(index);
            Assert.Equal((golden.Name, string.Join(' ', expected)), (golden.Name, string.Join(' ', learned.Spans.Select(span => (CodePoints(span.Start), CodePoints(span.End))))));
        }
    }

    /// <summary>Each string of a conversation in turn gets all markers; as a measure it gets the same text without them, for a template may look at a role or a tool's name.</summary>
    [SkippableTheory]
    [MemberData(nameof(Templates))]
    public void What_somebody_writes_never_becomes_a_marker(string name)
    {
        var checkedFields = 0;
        foreach (var golden in GoldenChat.Cases(name).Where(golden => golden.Rendered is not null && !golden.Options.ContinueFinalMessage).DistinctBy(golden => golden.Conversation))
        {
            string[] markers = [.. Markers().Matches(golden.Rendered!).Select(match => match.Value).Concat(golden.SpecialTokens.Values).Distinct()];
            if (markers.Length == 0) continue;
            var tokenizer = GoldenChat.Tokenizer(markers);
            var template = golden.Template;
            var withMarkers = string.Concat(markers);
            var without = string.Concat(markers.Select(marker => "\uE002" + marker[1..]));
            foreach (var count in Enumerable.Range(0, Strings(Json(golden)).Count()))
            {
                if (MarkerIds(withMarkers) is not { } actual || MarkerIds(without) is not { } expected) continue;
                Assert.True(expected.SequenceEqual(actual), $"{golden.Name}, string {count}: {string.Join(' ', actual.Select(id => tokenizer.Decode([id])))} instead of {string.Join(' ', expected.Select(id => tokenizer.Decode([id])))}");
                checkedFields++;

                int[]? MarkerIds(string appended)
                {
                    var changed = Json(golden);
                    var place = Strings(changed).ElementAt(count);
                    place.ReplaceWith<JsonNode>(JsonValue.Create((string)place! + appended));
                    var options = golden.Options with { Tools = changed["tools"]?.AsArray(), Documents = changed["documents"]?.AsArray() };
                    try
                    {
                        return [.. template.Encode(tokenizer, changed["messages"]!.AsArray(), options).Where(tokenizer.IsSpecial)];
                    }
                    catch (ChatTemplateException)
                    {
                        // A template may refuse a role, or a text with markers.
                        return null;
                    }
                }
            }
        }

        Assert.True(checkedFields > 0 || GoldenChat.Cases(name).All(golden => golden.Rendered is null || golden.SpecialTokens.Count == 0));
    }

    private static JsonObject Json(GoldenChatCase golden) => new()
    {
        ["messages"] = golden.Messages.DeepClone(),
        ["tools"] = golden.Options.Tools?.DeepClone(),
        ["documents"] = golden.Options.Documents?.DeepClone(),
    };

    private static IEnumerable<JsonValue> Strings(JsonNode? node) => node switch
    {
        JsonObject map => map.SelectMany(entry => Strings(entry.Value)),
        JsonArray list => list.SelectMany(Strings),
        JsonValue value when value.GetValueKind() == System.Text.Json.JsonValueKind.String => [value],
        _ => [],
    };

    [GeneratedRegex(@"<[|｜][^<>\s]*[|｜]>|\[/?[A-Z_]+\]|</?(s|bos|eos|start_of_turn|end_of_turn)>")]
    private static partial Regex Markers();
}
