using System.Diagnostics;
using System.Globalization;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Xunit.Abstractions;

namespace Fossil.Generators.Tests;

/// <summary>
/// What a keystroke costs in a large project, as an editor runs the generator: without the outputs that only a build needs. The figures are printed;
/// FOSSIL_KEYSTROKE_CLASSES sets the number of annotated classes (twice as many ordinary files come on top).
/// </summary>
public class KeystrokeTests(ITestOutputHelper output)
{
    private const int Edits = 40;

    [Fact]
    public void AnEditOfABodyReRunsNoOutput()
    {
        var classes = int.Parse(Environment.GetEnvironmentVariable("FOSSIL_KEYSTROKE_CLASSES") ?? "50", CultureInfo.InvariantCulture);
        var options = GeneratorHarness.ParseOptions();
        var current = GeneratorHarness.Compile(Sources(classes), options);
        var driver = GeneratorHarness.EditorDriver(options, track: false).RunGenerators(current);
        // Tracking its steps slows a driver down: the one that is timed goes without.
        var tracked = GeneratorHarness.EditorDriver(options, track: true).RunGenerators(current);
        Assert.Equal(classes, driver.GetRunResult().GeneratedTrees.Length);

        foreach (var (where, file) in new[] { ("an ordinary file", classes + 1), ("an annotated file", 1) })
        {
            var times = new List<double>();
            for (var edit = 0; edit < Edits; edit++)
            {
                current = EditBody(current, file, options);
                var start = Stopwatch.GetTimestamp();
                driver = driver.RunGenerators(current);
                times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
            times.Sort();
            output.WriteLine($"{classes} annotated classes, edit of a body in {where}: median {times[Edits / 2]:F2} ms, best {times[0]:F2} ms");

            tracked = tracked.RunGenerators(current);
            var outputs = tracked.GetRunResult().Results.Single().TrackedOutputSteps.SelectMany(step => step.Value).SelectMany(step => step.Outputs);
            Assert.All(outputs, step => Assert.Equal(IncrementalStepRunReason.Cached, step.Reason));
        }
    }

    private static CSharpCompilation EditBody(CSharpCompilation compilation, int file, CSharpParseOptions options)
    {
        var tree = compilation.SyntaxTrees[file];
        var text = tree.GetText().ToString();
        var edited = text.Insert(text.LastIndexOf("return", StringComparison.Ordinal), "; ");
        return compilation.ReplaceSyntaxTree(tree, CSharpSyntaxTree.ParseText(edited, options, tree.FilePath, System.Text.Encoding.UTF8));
    }

    private static IEnumerable<string> Sources(int classes) =>
        Enumerable.Range(0, classes)
            .Select(index => EmittedCodeTests.Attention.Replace("SelfAttention", $"SelfAttention{index}"))
            .Concat(Enumerable.Range(0, 2 * classes).Select(index => $$"""
                namespace Ordinary{{index % 40}};
                public record Point{{index}}(int X, string Y);
                public class Class{{index}}
                {
                    public int Value { get; set; }
                    public string Text(int count) { for (var i = 0; i < count; i++) Value += i; return Value.ToString(); }
                }
                """));
}
