// The paper's comparison in small: arithmetic word problems, a real language model, eight ways to adapt it; one table and one figure.
//   dotnet run -c Release --project samples/WordProblems -- --methods balance,lora
using System.CommandLine;
using Fossil.Distributed;

var methods = new Option<string>("--methods") { Description = "Comma-separated: " + string.Join(", ", Methods.All.Select(method => method.Key)), DefaultValueFactory = _ => string.Join(',', Methods.All.Select(method => method.Key)) };
var seeds = new Option<int[]>("--seeds") { Description = "Seeds of the data's order and the adapters' initial values", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [1] };
var steps = new Option<int>("--steps") { Description = "Optimizer steps", DefaultValueFactory = _ => 250 };
var batch = new Option<int>("--batch") { Description = "Problems a step", DefaultValueFactory = _ => 8 };
var rate = new Option<double>("--learning-rate") { Description = "Full learning rate", DefaultValueFactory = _ => 5e-4 };
var questions = new Option<int>("--questions") { Description = "Test problems to answer", DefaultValueFactory = _ => 200 };
var rounds = new Option<int>("--speed-rounds") { Description = "Rounds of the speed measurement, in which the methods take turns", DefaultValueFactory = _ => 6 };
var speedOnly = new Option<bool>("--speed-only") { Description = "Measure the speed again, and nothing else" };
var model = new Option<FileInfo?>("--model") { Description = "SmolLM2-135M-Instruct as GGUF; without it FOSSIL_MODELS and ../shared/models are searched" };
var output = new Option<DirectoryInfo>("--output") { Description = "Folder of results and checkpoints; what is there already is not run again", DefaultValueFactory = _ => new DirectoryInfo("out/word_problems") };
var worker = new Option<bool>("--worker") { Description = "Run one method in this process", Hidden = true };

var command = new RootCommand("Compares FOSSIL with LoRA and its relatives on arithmetic word problems.") { methods, seeds, steps, batch, rate, questions, rounds, speedOnly, model, output, worker };
command.SetAction(async (parsed, cancel) =>
{
    var chosen = parsed.GetValue(methods)!.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(Methods.Find).ToList();
    var folder = parsed.GetValue(output)!.FullName;
    var options = new RunOptions(parsed.GetValue(steps), parsed.GetValue(batch), parsed.GetValue(rate), parsed.GetValue(questions), parsed.GetValue(model)?.FullName ?? SmolModel.Find());
    var (chosenSeeds, speedRounds) = (parsed.GetValue(seeds)!, parsed.GetValue(rounds));
    Directory.CreateDirectory(folder);
    if (parsed.GetValue(worker)) return Worker.Run(chosen[0], chosenSeeds[0], options, folder, cancel) ? 0 : 1;
    if (parsed.GetValue(speedOnly)) return Speed.Run(chosen, options, folder, speedRounds, cancel) ? 0 : 1;

    // Each part in a process of its own, so that its peak memory is its own. Ctrl-C reaches it too: it saves, and the same command goes on later.
    Task<int> Start(IEnumerable<Method> methods, int seed, params string[] more) => OwnProcess.RunAsync(
        [
            "--methods", string.Join(',', methods.Select(method => method.Key)), "--seeds", $"{seed}", "--steps", $"{options.Steps}", "--batch", $"{options.BatchSize}",
            "--learning-rate", FormattableString.Invariant($"{options.LearningRate}"), "--questions", $"{options.Questions}", "--model", options.Model, "--output", folder, .. more,
        ]);

    // Under mpirun a rank is one process to the launcher: all methods run in it, and nothing is measured that needs a process of its own.
    var group = ProcessGroup.Current;
    if (group is { IsMain: false }) Console.SetOut(TextWriter.Null);
    if (group is null && speedRounds > 0 && Speed.TryLoad(folder, options)?.Covers(chosen) != true)
    {
        if (await Start(chosen, 0, "--speed-only", "--speed-rounds", $"{speedRounds}") != 0 || cancel.IsCancellationRequested) return 1;
    }
    foreach (var seed in chosenSeeds)
    {
        foreach (var method in chosen)
        {
            if (RunResult.TryLoad(folder, method.Key, seed, options) is not null) continue;
            Console.WriteLine($"{method.Title}, seed {seed}");
            var isDone = group is null ? await Start([method], seed, "--worker") == 0 : Worker.Run(method, seed, options, folder, cancel);
            if (!isDone || cancel.IsCancellationRequested) return 1;
        }
    }

    if (group is { IsMain: false }) return 0;
    var results = Methods.All.SelectMany(method => chosenSeeds.Select(seed => RunResult.TryLoad(folder, method.Key, seed, options))).OfType<RunResult>().ToList();
    Report.Write(results, Speed.TryLoad(folder, options), Path.Combine(folder, "results.md"));
    Figure.Write(results, Path.Combine(folder, "comparison.png"));
    Console.WriteLine($"{Path.Combine(folder, "results.md")}, {Path.Combine(folder, "comparison.png")}");
    return 0;
});
return await command.Parse(args).InvokeAsync();

/// <summary>What all runs of a comparison have in common.</summary>
internal sealed record RunOptions(int Steps, int BatchSize, double LearningRate, int Questions, string Model)
{
    /// <exception cref="InvalidOperationException">The file at <paramref name="path"/> is from other options.</exception>
    public void CheckSame(RunOptions stored, string path)
    {
        if (stored != this) throw new InvalidOperationException($"{path} is from other options ({stored}). Choose another --output folder, or delete it.");
    }
}
