// The paper's comparison in small: arithmetic word problems, a real language model, eight ways to adapt it; one table and one figure.
//   dotnet run -c Release --project samples/WordProblems -- --methods balance,lora
using System.CommandLine;
using System.Diagnostics;

var methods = new Option<string>("--methods") { Description = "Comma-separated: " + string.Join(", ", Methods.All.Select(method => method.Key)), DefaultValueFactory = _ => string.Join(',', Methods.All.Select(method => method.Key)) };
var seeds = new Option<int[]>("--seeds") { Description = "Seeds of the data's order and the adapters' initial values", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [1] };
var steps = new Option<int>("--steps") { Description = "Optimizer steps", DefaultValueFactory = _ => 250 };
var batch = new Option<int>("--batch") { Description = "Problems a step", DefaultValueFactory = _ => 8 };
var rate = new Option<double>("--learning-rate") { Description = "Full learning rate", DefaultValueFactory = _ => 5e-4 };
var questions = new Option<int>("--questions") { Description = "Test problems to answer", DefaultValueFactory = _ => 200 };
var model = new Option<FileInfo?>("--model") { Description = "SmolLM2-135M-Instruct as GGUF; without it FOSSIL_MODELS and ../shared/models are searched" };
var output = new Option<DirectoryInfo>("--output") { Description = "Folder of results and checkpoints; what is there already is not run again", DefaultValueFactory = _ => new DirectoryInfo("out/word_problems") };
var worker = new Option<bool>("--worker") { Description = "Run one method in this process", Hidden = true };

var command = new RootCommand("Compares FOSSIL with LoRA and its relatives on arithmetic word problems.") { methods, seeds, steps, batch, rate, questions, model, output, worker };
command.SetAction(async (parsed, cancel) =>
{
    var chosen = parsed.GetValue(methods)!.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(Methods.Find).ToList();
    var folder = parsed.GetValue(output)!.FullName;
    var options = new RunOptions(
        parsed.GetValue(steps), parsed.GetValue(batch), parsed.GetValue(rate), parsed.GetValue(questions), parsed.GetValue(model)?.FullName ?? SmolModel.Find(), folder);
    var chosenSeeds = parsed.GetValue(seeds)!;
    if (parsed.GetValue(worker)) return Worker.Run(chosen[0], chosenSeeds[0], options, cancel) ? 0 : 1;

    foreach (var seed in chosenSeeds)
    {
        foreach (var method in chosen)
        {
            if (RunResult.TryLoad(RunResult.PathIn(folder, method.Key, seed)) is not null) continue;
            Console.WriteLine($"{method.Title}, seed {seed}");
            // A process of its own, so that its peak memory is its own. Ctrl-C reaches it too: it saves, and the same command goes on later.
            string[] arguments =
            [
                "--worker", "--methods", method.Key, "--seeds", $"{seed}", "--steps", $"{options.Steps}", "--batch", $"{options.BatchSize}",
                "--learning-rate", FormattableString.Invariant($"{options.LearningRate}"), "--questions", $"{options.Questions}", "--model", options.Model, "--output", folder,
            ];
            using var process = Process.Start(Environment.ProcessPath!, arguments);
            await process.WaitForExitAsync(CancellationToken.None);
            if (process.ExitCode != 0 || cancel.IsCancellationRequested) return 1;
        }
    }

    var results = Methods.All.SelectMany(method => chosenSeeds.Select(seed => RunResult.TryLoad(RunResult.PathIn(folder, method.Key, seed)))).OfType<RunResult>().ToList();
    Report.Write(results, Path.Combine(folder, "results.md"));
    Figure.Write(results, Path.Combine(folder, "comparison.png"));
    Console.WriteLine($"{Path.Combine(folder, "results.md")}, {Path.Combine(folder, "comparison.png")}");
    return 0;
});
return await command.Parse(args).InvokeAsync();

/// <summary>What all runs of a comparison have in common.</summary>
internal sealed record RunOptions(int Steps, int BatchSize, double LearningRate, int Questions, string Model, string Output);
