using System.Diagnostics;
using Fossil.Generators;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Compile.Benchmarks;

/// <summary>What runs again when somebody types, in a file with an annotated class and in one without.</summary>
internal static class KeystrokeMeasurement
{
    private const int Edits = 51;
    private static readonly (string Where, string Path)[] Files = [("an ordinary file", "Service0.cs"), ("an annotated file", "Layer0.cs")];

    /// <summary>Edits of method bodies.</summary>
    public static void Run(CSharpCompilation solution, TextWriter? output)
    {
        Head("keystroke in a method", output);
        foreach (var (where, path) in Files)
        {
            // Editors of today run the outputs that only a build needs as well; one that leaves them out is shown for comparison.
            Generator(solution, path, new FossilGenerator(), $"{where}: generator", output);
            Generator(solution, path, new FossilGenerator(), $"{where}: generator without implementation outputs", output, disabled: IncrementalGeneratorOutputKind.Implementation);
            Generator(solution, path, new EmptyGenerator(), $"{where}: a generator that does nothing", output);
            Generator(solution, path, new AttributeGenerator(), $"{where}: a generator that adds an empty file for each class with the attribute", output);
            Analyzers(solution, path, BuildMeasurement.Analyzers, $"{where}: analyzers", output);
            Analyzers(solution, path, [new EmptyAnalyzer()], $"{where}: an analyzer that does nothing", output);
        }
    }

    /// <summary>Edits of declarations: other files may mean something else after each.</summary>
    public static void RunDeclarations(CSharpCompilation solution, TextWriter? output)
    {
        Head("keystroke in a declaration", output);
        foreach (var (where, path) in Files)
        {
            Generator(solution, path, new FossilGenerator(), $"{where}: generator, name of a method", output, EditedPart.Method);
            Generator(solution, path, new FossilGenerator(), $"{where}: generator, name of a class", output, EditedPart.Class);
        }
    }

    private static void Head(string title, TextWriter? output)
    {
        output?.WriteLine($"| {title} | median ms | least ms | processor ms | what ran |");
        output?.WriteLine("| --- | --- | --- | --- | --- |");
    }

    private static void Generator(
        CSharpCompilation solution, string path, IIncrementalGenerator generator, string what, TextWriter? output,
        EditedPart part = EditedPart.Body, IncrementalGeneratorOutputKind disabled = IncrementalGeneratorOutputKind.None)
    {
        GeneratorDriver Driver(bool track) => CSharpGeneratorDriver.Create(
            [generator.AsSourceGenerator()], parseOptions: GeneratedSolution.ParseOptions, driverOptions: new GeneratorDriverOptions(disabled, track)).RunGenerators(solution);

        // Tracking its steps slows a driver down: the one that is timed goes without.
        var (driver, tracked) = (Driver(false), Driver(true));
        var times = new Times();
        for (var edit = 1; edit <= Edits; edit++)
        {
            var edited = Edit(solution, path, edit, part);
            times.Measure(() => driver = driver.RunGenerators(edited));
        }
        if (output is null) return;
        var outputs = tracked.RunGenerators(Edit(solution, path, Edits, part)).GetRunResult().Results[0].TrackedOutputSteps.SelectMany(step => step.Value).SelectMany(step => step.Outputs);
        var reasons = string.Join(", ", outputs.GroupBy(step => step.Reason).OrderBy(reason => reason.Key).Select(reason => $"{reason.Count()} {reason.Key}"));
        output.WriteLine($"| {what} | {times} | outputs: {(reasons.Length == 0 ? "none" : reasons)} |");
    }

    /// <summary>The red lines of the edited file.</summary>
    private static void Analyzers(CSharpCompilation solution, string path, DiagnosticAnalyzer[] analyzers, string what, TextWriter? output)
    {
        var times = new Times();
        var count = 0;
        for (var edit = 1; edit <= Edits; edit++)
        {
            var edited = Edit(solution, path, edit, EditedPart.Body);
            var model = edited.GetSemanticModel(edited.SyntaxTrees.First(tree => tree.FilePath == path));
            // What the editor has done by then for its own purposes: the file is bound.
            model.GetDiagnostics();
            times.Measure(() => count = BuildMeasurement.With(edited, analyzers).GetAnalyzerSemanticDiagnosticsAsync(model, null, default).GetAwaiter().GetResult().Length);
        }
        output?.WriteLine($"| {what} | {times} | {count} reports |");
    }

    private static CSharpCompilation Edit(CSharpCompilation solution, string path, int edit, EditedPart part)
    {
        var edited = GeneratedSolution.Edit(solution, path, edit, part);
        // What the editor has done by then for its own purposes: the declarations are known.
        _ = edited.GlobalNamespace.GetNamespaceMembers().Count();
        return edited;
    }

    /// <summary>Times of one thing that is done again and again, on the clock and on the processors.</summary>
    private sealed class Times
    {
        private readonly List<double> clock = [], processors = [];

        public void Measure(Action action)
        {
            var (watch, before) = (Stopwatch.StartNew(), Environment.CpuUsage.TotalTime);
            action();
            clock.Add(watch.Elapsed.TotalMilliseconds);
            processors.Add((Environment.CpuUsage.TotalTime - before).TotalMilliseconds);
        }

        public override string ToString() => $"{Median(clock):f1} | {clock.Min():f1} | {Median(processors):f1}";

        private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
    }
}
