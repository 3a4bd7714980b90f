using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Fossil.Generators.Tests;

/// <summary>Text of the program stands in comments of generated code: it never gets out of its line.</summary>
public class CommentTests
{
    private const string Model = "class Use { public static Tensor Run(My.Models.SelfAttention a, Tensor x) => a.q_proj.forward(CALL); }";

    public static TheoryData<string, string> Calls() => new()
    {
        { "line feed", "\n x" },
        { "carriage return", "\r x" },
        { "next line", "\u0085 x" },
        { "line separator", "\u2028 x" },
        { "paragraph separator", "\u2029 x" },
        { "vertical tab and form feed", "\v \f x" },
        { "comment to the end of the line", "// note\n x" },
        { "comment to a paragraph separator", "// note\u2029 x" },
        { "comment with the end of one", "/* a // b \u2028 #error not here \u2028 */ x" },
        { "directives", "\n#pragma warning disable CS0001\n#line 7 \"other.cs\"\n x\n#line default\n" },
        { "right-to-left marks", "/* \u202E \u2066 */ x" },
        { "verbatim string", "x[\"\"\"\n#error a \u2028#error b\n\"\"\".Length == 0 ? 0 : 1].unsqueeze(0)" },
        { "half of a character at the cut", "/* 01234567890123456789012345678901234567890123456 \U0001F600\U0001F600\U0001F600\U0001F600 */ x" },
        { "the other half", "/* 0123456789012345678901234567890123456789012345 \U0001F600\U0001F600\U0001F600\U0001F600 */ x" },
    };

    [Theory]
    [MemberData(nameof(Calls))]
    public void InsideACall(string name, string call) => Check(name, Model.Replace("CALL", call), "/project/Use.cs");

    [Theory]
    [InlineData("/project/Übung \u00e9\u4e2d.cs")]
    [InlineData("/project/a\"b'c{d}e[f]%20<g>.cs")]
    [InlineData("/project/a\n#error b.cs")]
    [InlineData("/project/a\u2028#error b\u0085#error c.cs")]
    [InlineData("/project/*/ a /* b.cs")]
    [InlineData("C:\\project\\new\\u2028.cs")]
    [InlineData("/project/.cs")]
    [InlineData("/project/noextension")]
    public void InTheNameOfAFile(string path) => Check(path, Model.Replace("CALL", "x"), path);

    private static void Check(string name, string user, string path)
    {
        var options = GeneratorHarness.ParseOptions();
        var model = EmittedCodeTests.Attention.Replace("private readonly", "public readonly");
        var compilation = GeneratorHarness.Compile(model).AddSyntaxTrees(CSharpSyntaxTree.ParseText(user, options, path, System.Text.Encoding.UTF8));
        var generated = GeneratorHarness.Run(compilation);

        Assert.All(generated.Problems, problem => Assert.Fail($"{name}: {problem}"));
        // One in the user's file, two in the model's.
        var comments = generated.Files.Where(file => file.Key.EndsWith(".Interceptors.g.cs", StringComparison.Ordinal))
            .SelectMany(file => CSharpSyntaxTree.ParseText(file.Value, options).GetRoot().DescendantTrivia()).Where(trivia => trivia.IsKind(SyntaxKind.SingleLineCommentTrivia)).Select(trivia => trivia.ToString()).ToList();
        Assert.Equal(3, comments.Count(comment => comment.StartsWith("// line ", StringComparison.Ordinal)));
        Assert.All(comments, comment => Assert.DoesNotContain(comment.EnumerateRunes(), rune => System.Text.Rune.IsControl(rune) || rune == System.Text.Rune.ReplacementChar));
    }
}
