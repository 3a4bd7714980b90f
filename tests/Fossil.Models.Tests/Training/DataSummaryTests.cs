using Fossil.Fuzz;
using Fossil.Models.Tokenizers;
using Fossil.TestData;
using Fossil.Training;

namespace Fossil.Models.Tests.Training;

/// <summary>The first look at data, line for line, in 80 columns.</summary>
public sealed class DataSummaryTests
{
    [Fact]
    public void Rows_are_summed_up_and_the_first_example_is_shown_with_what_is_learned()
    {
        using var folder = new TemporaryFolder();
        var tokenizer = ByteLevelTokenizer.Create();
        File.WriteAllLines(folder["a.jsonl"],
        [
            """{"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}], "id": 1}""",
            """{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "3+3?"}, {"role": "assistant", "content": "6"}], "id": 2}""",
        ]);
        File.WriteAllLines(folder["b.jsonl"], ["""{"prompt": "1+1=", "completion": "2"}""", $$"""{"text": "{{new string('x', 200)}}"}""", $$"""{"prompt": "{{new string('y', 80)}}", "completion": "late"}"""]);
        Assert.Equal(
            """
            files      a.jsonl (2 rows), b.jsonl (3 rows)
            forms      messages (2); prompt, completion (2); text (1)
            roles      assistant (2), system (1), user (2)
            tokens     shortest example 6, median 51, longest 201
            examples   5; lose their end: 2; left out, with nothing to learn: 1
            sequences  4 with 151 tokens, 69 of them learned (45.7 %), 222 dropped; at most
                       41.0 % padding
            ignored    id (2)
            first example, ⟦learned⟧:
              <|user|>2+2?<|end|>
              <|assistant|>⟦4<|end|>⟧

            """,
            Print(ChatData.FromJsonl([folder["a.jsonl"], folder["b.jsonl"]], tokenizer, 64), tokenizer));
    }

    [Fact]
    public void No_line_is_wider_than_the_terminal_and_a_long_example_loses_its_middle()
    {
        using var folder = new TemporaryFolder();
        var tokenizer = ByteLevelTokenizer.Create();
        var paths = Enumerable.Range(0, 12).Select(i => folder[$"{new string('f', 60)}-{i}.jsonl"]).ToList();
        var said = string.Join("\\n", Enumerable.Range(0, 100).Select(i => $"line {i} {new string('z', i * 3)}"));
        var fields = string.Join(", ", Enumerable.Range(0, 30).Select(i => $"\"field_{i}\": {i}"));
        foreach (var path in paths) File.WriteAllText(path, $$"""{"prompt": "{{said}}\n", "completion": "\u001b[31mred\t\u0000", {{fields}}}""");
        var text = Print(ChatData.FromJsonl(paths, tokenizer, 1 << 20, pack: true), tokenizer);
        Assert.All(text.Split('\n'), line => Assert.InRange(line.Length, 0, 80));
        Assert.InRange(text.Count(character => character == '\n'), 20, 60);
        Assert.Contains("and 8 more with 8 rows", string.Join(' ', text.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
        Assert.Contains(" lines …", text, StringComparison.Ordinal);
        Assert.Contains("⟦\\u001b[31mred    \\u0000<|end|>⟧", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Windows_of_a_text_are_shown_too()
    {
        var tokenizer = ByteLevelTokenizer.Create();
        var data = TokenData.FromWindows(tokenizer.Encode("Of Man's first disobedience, and the fruit"), 16, "poem.txt");
        Assert.Equal(
            """
            text       poem.txt
            sequences  2 with 32 tokens, 30 of them learned (93.8 %), 10 dropped; at most
                       0.0 % padding
            first example, ⟦learned⟧:
              O⟦f Man's first d⟧

            """,
            Print(data, tokenizer));
    }

    private static string Print(TokenData data, PretrainedTokenizer tokenizer)
    {
        using var writer = new StringWriter { NewLine = "\n" };
        data.PrintSummary(tokenizer, writer);
        return writer.ToString();
    }
}
