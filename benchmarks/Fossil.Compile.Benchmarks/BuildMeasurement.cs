using System.Diagnostics;
using Fossil.Analyzers.Attributes;
using Fossil.Generators;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Compile.Benchmarks;

/// <summary>The shares of a build: compiler, generator, and each analyzer as <c>ReportAnalyzer</c> shows it.</summary>
internal static class BuildMeasurement
{
    /// <summary>Every analyzer of the project.</summary>
    public static readonly DiagnosticAnalyzer[] Analyzers =
    [
        .. typeof(AdaptAttributeAnalyzer).Assembly.GetTypes()
            .Where(type => !type.IsAbstract && type.IsSubclassOf(typeof(DiagnosticAnalyzer)))
            .Select(type => (DiagnosticAnalyzer)Activator.CreateInstance(type)!)
            .OrderBy(analyzer => analyzer.GetType().Name, StringComparer.Ordinal),
    ];

    /// <summary>Analyses as an editor or build does, one thing at a time so that times add up.</summary>
    public static CompilationWithAnalyzers With(Compilation compilation, params DiagnosticAnalyzer[] analyzers) => compilation.WithAnalyzers(
        [.. analyzers], new CompilationWithAnalyzersOptions(new AnalyzerOptions([]), null, concurrentAnalysis: false, logAnalyzerExecutionTime: true));

    public static async Task Run(CSharpCompilation solution, TextWriter? output)
    {
        GeneratorDriver driver = CSharpGeneratorDriver.Create([new FossilGenerator().AsSourceGenerator()], parseOptions: GeneratedSolution.ParseOptions);
        var watch = Stopwatch.StartNew();
        driver.RunGeneratorsAndUpdateCompilation(solution, out var updated, out _);
        var generating = watch.Elapsed;

        watch.Restart();
        using var image = new MemoryStream();
        var emitted = updated.Emit(image);
        var compiling = watch.Elapsed;
        if (!emitted.Success) throw new InvalidOperationException($"The solution does not compile: {emitted.Diagnostics.First(one => one.Severity == DiagnosticSeverity.Error)}");

        // A compilation of its own for each: what one has bound does not help the next.
        watch.Restart();
        await With(updated.Clone(), new EmptyAnalyzer()).GetAnalyzerDiagnosticsAsync();
        var driving = watch.Elapsed;

        var analysis = With(updated.Clone(), Analyzers);
        watch.Restart();
        var reports = await analysis.GetAnalyzerDiagnosticsAsync();
        var analyzing = watch.Elapsed;

        output?.WriteLine($"build: compiler {compiling.TotalSeconds:f2} s, generator {generating.TotalSeconds:f2} s");
        output?.WriteLine($"build: an analyzer that does nothing {driving.TotalSeconds:f2} s, all analyzers {analyzing.TotalSeconds:f2} s, {reports.Length} reports; of that, as ReportAnalyzer shows it:");
        foreach (var analyzer in Analyzers)
        {
            var telemetry = await analysis.GetAnalyzerTelemetryInfoAsync(analyzer, default);
            output?.WriteLine($"  {analyzer.GetType().Name}: {telemetry.ExecutionTime.TotalMilliseconds:f0} ms");
        }
    }
}
