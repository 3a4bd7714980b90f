using Fossil.Analyzers.Attributes;
using Fossil.Compile.Benchmarks;
using Fossil.Generators;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;

// What generator and analyzers cost: in a build, and at a keystroke. Arguments: annotated files, ordinary files. Times are processor time of
// the process, so that other work on the machine does not count.
var annotated = args.Length > 0 ? int.Parse(args[0]) : 1000;
var ordinary = args.Length > 1 ? int.Parse(args[1]) : 2000;
var analyzers = typeof(AdaptAttributeAnalyzer).Assembly.GetTypes()
    .Where(type => !type.IsAbstract && type.IsSubclassOf(typeof(DiagnosticAnalyzer)))
    .Select(type => (DiagnosticAnalyzer)Activator.CreateInstance(type)!).ToArray();

// Everything is loaded and compiled once before anything is measured.
await Build(GeneratedSolution.Create(20, 20), isWarmUp: true);
Console.WriteLine($"{annotated} annotated and {ordinary} ordinary files");
var (driver, compilation) = await Build(GeneratedSolution.Create(annotated, ordinary), isWarmUp: false);
Keystrokes("an ordinary file", "Service0.cs");
Keystrokes("an annotated file", "Layer0.cs");

async Task<(GeneratorDriver Driver, CSharpCompilation Compilation)> Build(CSharpCompilation source, bool isWarmUp)
{
    var options = new GeneratorDriverOptions(IncrementalGeneratorOutputKind.None, trackIncrementalGeneratorSteps: true);
    GeneratorDriver fresh = CSharpGeneratorDriver.Create([new FossilGenerator().AsSourceGenerator()], parseOptions: GeneratedSolution.ParseOptions, driverOptions: options);

    var watch = Meter.Start();
    fresh = fresh.RunGeneratorsAndUpdateCompilation(source, out var updated, out _);
    var generating = watch.Elapsed;
    watch = Meter.Start();
    using var image = new MemoryStream();
    var emitted = updated.Emit(image);
    var compiling = watch.Elapsed;
    watch = Meter.Start();
    var analysis = updated.WithAnalyzers([.. analyzers], new CompilationWithAnalyzersOptions(new AnalyzerOptions([]), null, concurrentAnalysis: false, logAnalyzerExecutionTime: true));
    var reports = await analysis.GetAnalyzerDiagnosticsAsync();
    var analyzing = watch.Elapsed;
    if (isWarmUp) return (fresh, source);

    if (!emitted.Success) Console.WriteLine($"does not compile: {emitted.Diagnostics.First(one => one.Severity == DiagnosticSeverity.Error)}");
    Console.WriteLine($"build: compiler {compiling.TotalSeconds:f1} s, generator {generating.TotalSeconds:f1} s, analyzers {analyzing.TotalSeconds:f1} s, {reports.Length} reports");
    foreach (var analyzer in analyzers)
    {
        var telemetry = await analysis.GetAnalyzerTelemetryInfoAsync(analyzer, default);
        Console.WriteLine($"  {analyzer.GetType().Name}: {telemetry.ExecutionTime.TotalMilliseconds:f0} ms");
    }
    return (fresh, source);
}

void Keystrokes(string what, string path)
{
    const int Count = 15;
    var times = new List<double>();
    var states = new Dictionary<IncrementalStepRunReason, int>();
    for (var edit = 1; edit <= Count; edit++)
    {
        compilation = GeneratedSolution.Edit(compilation, path, edit);
        // What the editor has done by then for other reasons: the declarations are bound.
        _ = compilation.GlobalNamespace.GetNamespaceMembers().Count();
        var watch = Meter.Start();
        driver = driver.RunGenerators(compilation);
        times.Add(watch.Elapsed.TotalMilliseconds);
        foreach (var output in driver.GetRunResult().Results[0].TrackedOutputSteps.SelectMany(step => step.Value).SelectMany(step => step.Outputs))
        {
            states[output.Reason] = states.GetValueOrDefault(output.Reason) + 1;
        }
    }
    times.Sort();
    var reasons = string.Join(", ", states.OrderBy(pair => pair.Key).Select(pair => $"{(double)pair.Value / Count:f0} {pair.Key}"));
    Console.WriteLine($"keystroke in {what}: generator {times[Count / 2]:f1} ms (median of {Count}, least {times[0]:f1}); outputs: {reasons}");

    // The red lines of the file in the editor.
    var tree = compilation.SyntaxTrees.First(one => one.FilePath == path);
    var model = compilation.GetSemanticModel(tree);
    var live = compilation.WithAnalyzers([.. analyzers], new CompilationWithAnalyzersOptions(new AnalyzerOptions([]), null, concurrentAnalysis: false, logAnalyzerExecutionTime: true));
    var reading = Meter.Start();
    var found = live.GetAnalyzerSemanticDiagnosticsAsync(model, null, default).GetAwaiter().GetResult();
    Console.WriteLine($"keystroke in {what}: analyzers {reading.Elapsed.TotalMilliseconds:f0} ms for the file, {found.Length} reports");
}

/// <summary>Processor time since a start.</summary>
internal readonly struct Meter(TimeSpan start)
{
    public static Meter Start() => new(Environment.CpuUsage.TotalTime);

    public TimeSpan Elapsed => Environment.CpuUsage.TotalTime - start;
}
