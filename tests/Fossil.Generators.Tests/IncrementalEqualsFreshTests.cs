using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Text;
using Xunit.Abstractions;

namespace Fossil.Generators.Tests;

/// <summary>After an edit, a driver that has run before generates what a new one does: nothing old is left standing.</summary>
public class IncrementalEqualsFreshTests(ITestOutputHelper output)
{
    private const int Edits = 250;

    /// <summary>Calls whose receivers' types are decided in other files, over several steps.</summary>
    private static readonly string[] Project =
    [
        "[FossilAdapt(\"up\", ShardSize = Sizes.Shard)] public partial class Model() : Base(\"m\") { public Custom up = new(); public Linear down = Linear(8, 8); public override Tensor forward(Tensor x) => up.forward(down.forward(x)); }",
        "public abstract class Base(string name) : Module<Tensor, Tensor>(name) { public Linear gate = Linear(8, 8); public static Linear Shared() => null!; }",
        "public class Custom() : CustomBase { } public static class Sizes { public const int Shard = Numbers.Eight; }",
        "public class CustomBase() : Module<Tensor, Tensor>(\"c\") { public override Tensor forward(Tensor x) => x; } static class Numbers { public const int Eight = 8; }",
        "public class Holder { public Inner Get() => new(); public int Other() => 1; }",
        "public class Inner { public Linear Layer => null!; public Custom Second { get; set; } = null!; } public class Unused { public int A; }",
        "public class User { Tensor Run(Holder h, Tensor x) { var inner = h.Get(); var layer = inner.Layer; return layer.forward(inner.Second.forward(x)) + h.Best().forward(x) + h.forward(x); } }",
        "public static class Extensions { public static Linear Best(this Holder h) => h.Get().Layer; public static Tensor forward(this Holder h, Tensor x) => x; public static void Nothing(this string s) { } }",
        "public class Loop { Tensor Run(Many many, Tensor x) { foreach (var one in many) x = one.forward(x); var (a, b) = many; return a.forward(b.call(x)); } }",
        "public class Many { } public static class Walk { public static IEnumerator<Linear> GetEnumerator(this Many m) => null!; public static void Deconstruct(this Many m, out Linear a, out Custom b) { a = null!; b = null!; } }",
        "global using Layer = TorchSharp.Modules.Linear; public class ByAlias { Tensor Run(Layer p, Second.Deep q, Tensor x) => p.forward(q.At.forward(x)); }",
        "[assembly: FossilShardSizes(Named.Other, Numbers.Eight * 2)] static class Named { public const int Other = 24; }",
        "namespace Second { public class Deep { public Layer At = null!; } public class Noise { public void Call() { } } }",
        "namespace Outer { public class ByNamespace { Tensor Run(Second.Deep q, Tensor x) => q.At.call(x); } }",
    ];

    [Theory]
    [InlineData(1, "public Linear gate", "public Linear[] gate")]
    [InlineData(1, "Module<Tensor, Tensor>", "Module<Tensor, int>")]
    [InlineData(2, ": CustomBase", ": Module<Tensor, Tensor>(\"d\")")]
    [InlineData(2, "Numbers.Eight", "16")]
    [InlineData(3, ": Module<Tensor, Tensor>(\"c\")", "")]
    [InlineData(3, "Eight = 8", "Eight = 32")]
    [InlineData(4, "Inner Get()", "Linear Get()")]
    [InlineData(5, "Linear Layer", "object Layer")]
    [InlineData(5, "Custom Second", "string Second")]
    [InlineData(5, "public class Unused", "namespace Nearer; public class Linear")]
    [InlineData(5, "public class Unused", "public class Custom")]
    [InlineData(11, "static class Named", "namespace Outer.Second { } static class Named")]
    [InlineData(7, "Linear Best", "string Best")]
    [InlineData(7, "(this Holder h, Tensor x) => x", "(this Unused h, Tensor x) => x")]
    [InlineData(9, "IEnumerator<Linear>", "IEnumerator<string>")]
    [InlineData(9, "out Linear a", "out string a")]
    [InlineData(10, "TorchSharp.Modules.Linear", "System.String")]
    [InlineData(10, "global using Layer = TorchSharp.Modules.Linear;", "")]
    [InlineData(11, "FossilShardSizes(", "FossilAdapt(")]
    [InlineData(11, "Other = 24", "Other = 12")]
    [InlineData(12, "public Layer At", "public string At")]
    public void AfterAnEditElsewhere(int file, string old, string edited)
    {
        var compilation = GeneratorHarness.Compile(Project);
        var driver = GeneratorHarness.Driver().RunGenerators(compilation);
        Assert.Contains(old, Text(compilation, file), StringComparison.Ordinal);

        var changed = Edit(compilation, file, Text(compilation, file).Replace(old, edited, StringComparison.Ordinal));
        driver = driver.RunGenerators(changed);
        AssertSame(changed, driver);
        // And back, which finds what the first run has left.
        AssertSame(compilation, driver.RunGenerators(compilation));
    }

    [Fact]
    public void AfterRandomEditsOneAfterTheOther()
    {
        var random = new Random(1);
        var compilation = GeneratorHarness.Compile(Project);
        var driver = GeneratorHarness.Driver().RunGenerators(compilation);
        var words = string.Join(' ', Project).Split([' ', '(', ')', ';', ',', '.', '<', '>'], StringSplitOptions.RemoveEmptyEntries).Distinct().ToArray();
        for (var edit = 0; edit < Edits; edit++)
        {
            var file = random.Next(Project.Length);
            // Mostly away from what compiles, at times back to it.
            var text = random.Next(3) == 0 ? Project[file] : Mutate(Text(compilation, file), words, random);
            compilation = Edit(compilation, file, text);
            driver = driver.RunGenerators(compilation);
            AssertSame(compilation, driver);
        }
        output.WriteLine($"{Edits} programs, each an edit of the one before: no exception, and the same files as from a new driver");
    }

    private static string Mutate(string text, string[] words, Random random)
    {
        var tokens = CSharpSyntaxTree.ParseText(text).GetRoot().DescendantTokens().Where(token => token.Span.Length > 0).ToList();
        if (tokens.Count == 0) return words[random.Next(words.Length)];
        var token = tokens[random.Next(tokens.Count)];
        var kept = text.Remove(token.SpanStart, token.Span.Length);
        return random.Next(4) switch
        {
            0 => kept,
            1 => text.Insert(token.SpanStart, words[random.Next(words.Length)] + " "),
            _ => kept.Insert(token.SpanStart, words[random.Next(words.Length)]),
        };
    }

    private static string Text(CSharpCompilation compilation, int file) => compilation.SyntaxTrees[file].GetText().ToString();

    private static CSharpCompilation Edit(CSharpCompilation compilation, int file, string text)
    {
        var tree = compilation.SyntaxTrees[file];
        return compilation.ReplaceSyntaxTree(tree, tree.WithChangedText(SourceText.From(text, System.Text.Encoding.UTF8)));
    }

    private static void AssertSame(CSharpCompilation compilation, GeneratorDriver driver)
    {
        var result = Assert.Single(driver.GetRunResult().Results);
        var fresh = Assert.Single(GeneratorHarness.Driver().RunGenerators(compilation).GetRunResult().Results);
        Assert.Null(result.Exception);
        Assert.Equal(Files(fresh), Files(result));
    }

    private static string Files(GeneratorRunResult result) =>
        string.Join("\n", result.GeneratedSources.OrderBy(source => source.HintName, StringComparer.Ordinal).Select(source => $"== {source.HintName}\n{source.SourceText}"));
}
