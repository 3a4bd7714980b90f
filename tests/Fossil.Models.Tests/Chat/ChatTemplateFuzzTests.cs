using Fossil.Models.Chat;
using Fossil.Models.Chat.Jinja;
using Fossil.TestData;
using Fossil.Training;

namespace Fossil.Models.Tests.Chat;

/// <summary>Damaged and mixed templates: whatever the text is, a template renders, or says what is wrong in the one exception that it may.</summary>
public sealed class ChatTemplateFuzzTests
{
    private static readonly string[] Pieces =
    [
        "{%", "%}", "{{", "}}", "{#", "#}", "-", "+", "if", "else", "elif", "endif", "for", "in", "endfor", "set", "endset", "macro", "endmacro", "call", "endcall", "filter", "endfilter", "generation",
        "endgeneration", "break", "continue", "raw", "endraw", "with", "endwith", "block", "messages", "[", "]", "(", ")", "{", "}", ".", ",", ":", "|", "~", "*", "**", "/", "//", "%", "==", "<", "not", "is",
        "and", "or", "'", "\"", "\\", "\n", " ", "0", "-1", "1e9", "99999999999999999999", "None", "true", "loop", "namespace", "range", "content", "role", "tojson", "join", "split", "format", "upper", "sort",
        "groupby", "map", "select", "x", "é", "\uD83D\uDE00", "\uD800", "\u2028",
    ];

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void A_damaged_template_renders_or_is_a_named_error(int seed)
    {
        var random = new Random(seed);
        string[] whole = [.. Directory.EnumerateFiles(Path.Combine(DataFolders.RequireGoldenChat(), "templates"), "*.jinja").Order(StringComparer.Ordinal).Select(File.ReadAllText)];
        for (var i = 0; i < 400; i++)
        {
            var text = whole[random.Next(whole.Length)];
            for (var change = random.Next(1, 5); change > 0; change--)
            {
                var at = random.Next(text.Length + 1);
                var length = Math.Min(random.Next(0, 12), text.Length - at);
                text = random.Next(3) switch
                {
                    0 => text.Remove(at, length),
                    1 => text.Insert(at, Pieces[random.Next(Pieces.Length)]),
                    _ => text.Insert(at, text.Substring(random.Next(text.Length), 0) + whole[random.Next(whole.Length)][..20]),
                };
            }

            Check(text);
        }
    }

    [Theory]
    [InlineData(5)]
    [InlineData(6)]
    public void Any_sequence_of_pieces_renders_or_is_a_named_error(int seed)
    {
        var random = new Random(seed);
        for (var i = 0; i < 4000; i++)
        {
            var pieces = Enumerable.Range(0, random.Next(1, 30)).Select(_ => Pieces[random.Next(Pieces.Length)]);
            Check(random.Next(2) == 0 ? string.Join(' ', pieces) : $"{{{{ {string.Join(' ', pieces)} }}}}");
        }
    }

    private static readonly ConversationTurn[] Turns = [new("user", "a\uD83D\uDE00 b"), new("assistant", "c")];

    private static void Check(string text)
    {
        try
        {
            var variables = ChatConversation.Of(Turns, new()).Variables(new Dictionary<string, string> { ["bos_token"] = "<s>", ["eos_token"] = "</s>" });
            JinjaTemplate.Parse(text).Render(variables, new DateTime(2025, 3, 4, 5, 6, 7, DateTimeKind.Unspecified), new RenderLimits(Steps: 20_000, Characters: 100_000));
        }
        catch (ChatTemplateException exception)
        {
            Assert.NotEmpty(exception.Message);
        }
        catch (Exception exception)
        {
            Assert.Fail($"{exception.GetType().Name}: {exception.Message}\n{exception.StackTrace}\nTemplate: {text}");
        }
    }
}
