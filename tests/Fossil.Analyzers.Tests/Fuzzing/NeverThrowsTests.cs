using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Fossil.Analyzers.Tests.Support;
using Fossil.Generators;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;
using Xunit.Abstractions;

namespace Fossil.Analyzers.Tests.Fuzzing;

/// <summary>
/// Analyzers and generator get broken and random programs, and must neither throw nor hang. How many: <c>FOSSIL_FUZZ_PROGRAMS</c>; from which
/// seed: <c>FOSSIL_FUZZ_SEED</c>.
/// </summary>
public class NeverThrowsTests(ITestOutputHelper output)
{
    private const int DefaultPrograms = 200;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Broken_programs_are_survived()
    {
        var programs = Setting("FOSSIL_FUZZ_PROGRAMS", DefaultPrograms);
        var seed = Setting("FOSSIL_FUZZ_SEED", 1);
        var reports = 0;
        for (var number = 0; number < programs; number++)
        {
            var random = new Random(unchecked((seed * 1_000_003) + number));
            var source = new Programs(random).Next();
            reports += await Survive(source, random);
        }
        output.WriteLine($"{programs} programs from seed {seed}: no exception; {reports} reports");
    }

    private static async Task<int> Survive(string source, Random random)
    {
        var version = random.Next(8) == 0 ? LanguageVersion.CSharp7_3 : LanguageVersion.CSharp14;
        var tree = CSharpSyntaxTree.ParseText(source, new CSharpParseOptions(version).WithFeatures([KeyValuePair.Create("InterceptorsNamespaces", "Fossil.Generated")]), "Program.cs");
        var references = random.Next(10) == 0 ? References.All.Take(References.All.Count - random.Next(1, 3)) : References.All;
        var compilation = CSharpCompilation.Create("Fuzz", [tree], references, new CSharpCompilationOptions(OutputKind.ConsoleApplication, allowUnsafe: true, nullableContextOptions: NullableContextOptions.Enable));

        var watch = Stopwatch.StartNew();
        var driver = CSharpGeneratorDriver.Create([new FossilGenerator().AsSourceGenerator()], parseOptions: (CSharpParseOptions)tree.Options);
        var result = driver.RunGenerators(compilation).GetRunResult();
        Assert.All(result.Results, one => Assert.True(one.Exception is null, $"{one.Exception}\n{source}"));

        var thrown = new List<Exception>();
        var options = new CompilationWithAnalyzersOptions(
            new AnalyzerOptions([]), (exception, _, _) => { lock (thrown) thrown.Add(exception); }, concurrentAnalysis: true, logAnalyzerExecutionTime: false);
        ImmutableArray<Diagnostic> reports = await compilation.WithAnalyzers(RuleDocumentationTests.Analyzers, options).GetAnalyzerDiagnosticsAsync();
        Assert.True(thrown.Count == 0, $"{thrown.FirstOrDefault()}\n{source}");
        Assert.True(watch.Elapsed < Limit, $"{watch.Elapsed}\n{source}");
        return reports.Length;
    }

    private static int Setting(string name, int fallback) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.Integer, CultureInfo.InvariantCulture, out var value) ? value : fallback;
}
