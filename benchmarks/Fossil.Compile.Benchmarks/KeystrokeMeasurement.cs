using System.Diagnostics;
using Fossil.Generators;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Compile.Benchmarks;

/// <summary>What runs again when somebody types in a method, in a file with an annotated class and in one without.</summary>
internal static class KeystrokeMeasurement
{
    private const int Edits = 25;

    public static void Run(CSharpCompilation solution, TextWriter? output)
    {
        foreach (var (where, path) in new[] { ("an ordinary file", "Service0.cs"), ("an annotated file", "Layer0.cs") })
        {
            // Editors of today run the outputs that only a build needs as well; one that leaves them out is shown for comparison.
            Generator(solution, path, new FossilGenerator(), IncrementalGeneratorOutputKind.None, $"keystroke in {where}: generator", output);
            Generator(solution, path, new FossilGenerator(), IncrementalGeneratorOutputKind.Implementation, $"keystroke in {where}: generator without implementation outputs", output);
            Generator(solution, path, new FossilGenerator(), IncrementalGeneratorOutputKind.None, $"keystroke in {where}, in a declaration: generator", output, isDeclaration: true);
            Generator(solution, path, new EmptyGenerator(), IncrementalGeneratorOutputKind.None, $"keystroke in {where}: a generator that does nothing", output);
            Generator(solution, path, new AttributeGenerator(), IncrementalGeneratorOutputKind.None, $"keystroke in {where}: a generator that adds an empty file for each class with the attribute", output);
            Analyzers(solution, path, BuildMeasurement.Analyzers, $"keystroke in {where}: analyzers", output);
            Analyzers(solution, path, [new EmptyAnalyzer()], $"keystroke in {where}: an analyzer that does nothing", output);
        }
    }

    private static void Generator(CSharpCompilation solution, string path, IIncrementalGenerator generator, IncrementalGeneratorOutputKind disabled, string what, TextWriter? output, bool isDeclaration = false)
    {
        GeneratorDriver Driver(bool track) => CSharpGeneratorDriver.Create(
            [generator.AsSourceGenerator()], parseOptions: GeneratedSolution.ParseOptions, driverOptions: new GeneratorDriverOptions(disabled, track)).RunGenerators(solution);

        // Tracking its steps slows a driver down: the one that is timed goes without.
        var (driver, tracked) = (Driver(false), Driver(true));
        var times = new List<double>();
        for (var edit = 1; edit <= Edits; edit++)
        {
            var edited = Edit(solution, path, edit, isDeclaration);
            var watch = Stopwatch.StartNew();
            driver = driver.RunGenerators(edited);
            times.Add(watch.Elapsed.TotalMilliseconds);
        }
        if (output is null) return;
        var outputs = tracked.RunGenerators(Edit(solution, path, Edits, isDeclaration)).GetRunResult().Results[0].TrackedOutputSteps.SelectMany(step => step.Value).SelectMany(step => step.Outputs);
        var reasons = string.Join(", ", outputs.GroupBy(step => step.Reason).OrderBy(reason => reason.Key).Select(reason => $"{reason.Count()} {reason.Key}"));
        output.WriteLine($"{what}: {Summary(times)}; outputs: {(reasons.Length == 0 ? "none" : reasons)}");
    }

    /// <summary>The red lines of the edited file.</summary>
    private static void Analyzers(CSharpCompilation solution, string path, DiagnosticAnalyzer[] analyzers, string what, TextWriter? output)
    {
        var times = new List<double>();
        var count = 0;
        for (var edit = 1; edit <= Edits; edit++)
        {
            var edited = Edit(solution, path, edit);
            var model = edited.GetSemanticModel(edited.SyntaxTrees.First(tree => tree.FilePath == path));
            // What the editor has done by then for its own purposes: the file is bound.
            model.GetDiagnostics();
            var watch = Stopwatch.StartNew();
            count = BuildMeasurement.With(edited, analyzers).GetAnalyzerSemanticDiagnosticsAsync(model, null, default).GetAwaiter().GetResult().Length;
            times.Add(watch.Elapsed.TotalMilliseconds);
        }
        output?.WriteLine($"{what}: {Summary(times)}; {count} reports");
    }

    private static CSharpCompilation Edit(CSharpCompilation solution, string path, int edit, bool isDeclaration = false)
    {
        var edited = GeneratedSolution.Edit(solution, path, edit, isDeclaration);
        // What the editor has done by then for its own purposes: the declarations are known.
        _ = edited.GlobalNamespace.GetNamespaceMembers().Count();
        return edited;
    }

    private static string Summary(List<double> times)
    {
        times.Sort();
        return $"{times[times.Count / 2]:f1} ms (least {times[0]:f1})";
    }
}
