using System.Text.Json;
using Fossil;
using Fossil.Models;
using Fossil.Serialization;
using Fossil.Training;
using Spectre.Console;
using static TorchSharp.torch;

/// <summary>
/// Tokens a second of every method, taken in turns in one process: a few steps of each method make a round, and what else the machine does
/// meets all methods alike. Runs of many minutes, one after the other, say little about speed on a machine that others use too.
/// </summary>
/// <param name="Options">What was measured.</param>
/// <param name="Threads">Threads of libtorch.</param>
/// <param name="Rounds">By method, the median of each round.</param>
internal sealed record Speed(RunOptions Options, int Threads, Dictionary<string, List<double>> Rounds)
{
    private const int WarmupSteps = 2, TimedSteps = 3;

    /// <summary>Tokens of a step, without padding, a second; the median over the rounds. Null where the method was not measured.</summary>
    public double? TokensPerSecond(string method) => Rounds.TryGetValue(method, out var rounds) ? rounds.Median() : null;

    public static string PathIn(string folder) => Path.Combine(folder, "speed.json");

    /// <summary>Whether all these methods were measured, those without an adapter aside.</summary>
    public bool Covers(IEnumerable<Method> methods) => methods.All(method => method.Config is null || Rounds.ContainsKey(method.Key));

    /// <summary>What was measured before; null where nothing was.</summary>
    public static Speed? TryLoad(string folder, RunOptions options)
    {
        if (!File.Exists(PathIn(folder))) return null;
        var speed = JsonSerializer.Deserialize<Speed>(File.ReadAllBytes(PathIn(folder)), RunResult.Json)!;
        options.CheckSame(speed.Options, PathIn(folder));
        return speed;
    }

    /// <summary>Measures, prints and saves.</summary>
    /// <returns>Whether it came to its end.</returns>
    public static bool Run(IReadOnlyList<Method> methods, RunOptions options, string folder, int rounds, CancellationToken cancel)
    {
        var trained = methods.Where(method => method.Config is not null).ToList();
        if (trained.Count == 0 || rounds == 0) return true;
        using var model = LlamaForCausalLM.FromGguf(options.Model, ScalarType.BFloat16);
        var data = new WordProblems(options.Model).TrainingData();
        using var adapted = model.AttachAdapters(trained[0].Config!, trained[0].Key);
        // All are attached at once; a round only changes which one is active.
        foreach (var method in trained.Skip(1)) adapted.AddAdapter(method.Key, method.Config!);

        var speed = new Speed(options, get_num_threads(), trained.ToDictionary(method => method.Key, _ => new List<double>()));
        for (var round = 0; round < rounds; round++)
        {
            // Each round begins with another method and takes other problems, the same ones for all methods.
            for (var turn = 0; turn < trained.Count; turn++)
            {
                var key = trained[(round + turn) % trained.Count].Key;
                adapted.SetAdapter(key);
                var arguments = new TrainingArguments
                {
                    MaxSteps = WarmupSteps + TimedSteps, BatchSize = options.BatchSize, LearningRate = options.LearningRate, LoggingSteps = 1, Seed = round, Bf16 = true,
                };
                var logs = new Trainer<TokenBatch>(new TrainableAdapter(adapted, key), model.loss, arguments, data).Train(cancellation: cancel).State.Logs;
                if (cancel.IsCancellationRequested) return false;
                speed.Rounds[key].Add(logs.Skip(WarmupSteps).Select(log => log.TokensPerSecond).Median());
            }
            Console.WriteLine($"speed, round {round + 1} of {rounds}: " + string.Join(", ", trained.Select(method => $"{method.Key} {speed.Rounds[method.Key][^1]:F0}")) + " tokens/s");
        }

        AtomicFile.Write(PathIn(folder), stream => JsonSerializer.Serialize(stream, speed, RunResult.Json));
        speed.Print(trained);
        return true;
    }

    private void Print(IReadOnlyList<Method> methods)
    {
        var table = new Table();
        table.AddColumn("method");
        foreach (var title in new[] { "tokens/s", "lowest round", "highest round" }) table.AddColumn(new TableColumn(title).RightAligned());
        foreach (var method in methods)
        {
            var rounds = Rounds[method.Key];
            table.AddRow(method.Title, $"{rounds.Median():F0}", $"{rounds.Min():F0}", $"{rounds.Max():F0}");
        }
        AnsiConsole.Write(table);
    }
}
