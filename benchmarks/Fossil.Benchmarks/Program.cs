// What the library costs, beside PEFT's formulas by libtorch's own operations.
//   dotnet run -c Release --project benchmarks/Fossil.Benchmarks -- all
using System.CommandLine;
using Fossil.Benchmarks;
using Spectre.Console;

var models = new Option<DirectoryInfo>("--models")
{
    Description = "Folder that holds SmolLM2-135M-Instruct",
    DefaultValueFactory = _ => new(Environment.GetEnvironmentVariable("FOSSIL_MODELS") ?? "../shared/models"),
    Recursive = true,
};
var isShort = new Option<bool>("--short") { Description = "A third of the rounds: less than five minutes" };
var only = new Option<string[]>("--only") { Description = $"Only these parts: {string.Join(", ", Suite.Names)}", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [] };
only.AcceptOnlyFromAmong([.. Suite.Names]);
var earlier = new Option<string?>("--earlier") { Description = "A commit whose frozen step is built and measured in turn with today's: what a method adds is counted from it too" };
var json = new Option<FileInfo?>("--json") { Description = "Where the results are written; nowhere without it" };
var figure = new Option<FileInfo?>("--figure") { Description = "Where bars a method are drawn, a .png" };
var all = new Command("all", "Measures everything in turn with what it is compared with, and says which goals are met.") { isShort, only, earlier, json, figure };
all.SetAction(parsed =>
{
    var results = Suite.Run(Base.In(parsed.GetValue(models)!), parsed.GetValue(isShort), parsed.GetValue(only)!, parsed.GetValue(earlier));
    ResultTable.Write(results.Rows);
    if (parsed.GetValue(json) is { } file) results.Write(file.FullName);
    if (parsed.GetValue(figure) is { } picture) MethodFigure.Write(results, picture.FullName);
});

var folder = new Option<DirectoryInfo>("--results") { Description = "The folder with the results, one file a machine", DefaultValueFactory = _ => new("benchmarks/results") };
var documents = new Option<DirectoryInfo>("--docs") { Description = "The folder of the documents", DefaultValueFactory = _ => new("docs") };
var report = new Command("report", "Writes the tables of the documents, and the figures, from the results.") { folder, documents };
report.SetAction(parsed =>
{
    var results = BenchmarkResults.ReadAll(parsed.GetValue(folder)!.FullName);
    foreach (var path in DocumentTables.Documents.Select(name => Path.Combine(parsed.GetValue(documents)!.FullName, name))) File.WriteAllText(path, DocumentTables.Rewrite(File.ReadAllText(path), results));
    foreach (var machine in results) MethodFigure.Write(machine, Path.Combine(parsed.GetValue(documents)!.FullName, "images", machine.FigureName));
});

var dispatch = new Command("dispatch", "What an intercepted call costs whose receiver has no adapter.");
dispatch.SetAction(_ => DispatchBenchmark.Run());
var widths = new Command("widths", "What a kernel would gain if it knew the width of its rows.");
widths.SetAction(_ => WidthBenchmark.Run());

var tiled = new Command("tiled", "Where products with W + tile(D) pay, by rows, shard size and widths.");
tiled.SetAction(_ => TiledWeightBenchmark.Run());

var part = new Argument<string[]>("part");
var memoryOf = new Command(OwnMemory.Command, "One measurement of memory, in a process of its own.") { part };
memoryOf.Hidden = true;
memoryOf.SetAction(parsed => OwnMemory.Report(parsed.GetValue(part) switch
{
    ["training", var method, var how] => MemoryBenchmark.Train(Base.In(parsed.GetValue(models)!), int.Parse(method), how),
    ["loading", var path, var dtype] => LoadingBenchmark.Load(path, dtype),
    var other => throw new ArgumentException($"There is no measurement '{string.Join(' ', other!)}'."),
}));
return new RootCommand("Measures this library.") { models, all, report, dispatch, widths, tiled, memoryOf }.Parse(args).Invoke();
