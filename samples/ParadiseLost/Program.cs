// Adapts a language model that read Shakespeare to Milton's Paradise Lost, with FOSSIL.
//   dotnet run -c Release --project samples/ParadiseLost
//   mpirun -np 2 dotnet samples/ParadiseLost/bin/Release/net10.0/ParadiseLost.dll
using System.CommandLine;
using Fossil;
using Fossil.Distributed;
using Spectre.Console;

var model = new Option<DirectoryInfo>("--model") { Description = "Folder of the base model", DefaultValueFactory = _ => new(SampleData.Find("models/shakespeare")) };
var data = new Option<FileInfo>("--data") { Description = "Text to adapt to", DefaultValueFactory = _ => new(SampleData.Find("data/paradise_lost.txt")) };
var output = new Option<DirectoryInfo>("--output") { Description = "Folder for adapter and loss curve", DefaultValueFactory = _ => new("out/paradise-lost") };
var variant = new Option<FossilVariant>("--variant") { Description = "Form of shard sharing", DefaultValueFactory = _ => FossilVariant.Balance };
var shardSize = new Option<int>("--shard-size") { Description = "Shard size r", DefaultValueFactory = _ => 64 };
var steps = new Option<int>("--steps") { Description = "Optimizer steps", DefaultValueFactory = _ => 150 };
var rate = new Option<double>("--learning-rate") { Description = "Highest learning rate", DefaultValueFactory = _ => 2e-3 };
var batch = new Option<int>("--batch") { Description = "Windows per step", DefaultValueFactory = _ => 8 };
var length = new Option<int>("--length") { Description = "Tokens per window", DefaultValueFactory = _ => 256 };
var dtype = new Option<BaseDtype>("--dtype") { Description = "dtype of the frozen base", DefaultValueFactory = _ => BaseDtype.Float32 };
var prompt = new Option<string>("--prompt") { Description = "Beginning of the sample texts", DefaultValueFactory = _ => "And now the day " };
var seed = new Option<int>("--seed") { Description = "Seed of windows and sample texts", DefaultValueFactory = _ => 1 };

foreach (var positive in new[] { shardSize, steps, batch })
{
    positive.Validators.Add(result => { if (result.GetValueOrDefault<int>() < 1) result.AddError($"{positive.Name} must be at least 1."); });
}
length.Validators.Add(result => { if (result.GetValueOrDefault<int>() < 2) result.AddError("--length must be at least 2: one token to predict another."); });
rate.Validators.Add(result => { if (!(result.GetValueOrDefault<double>() > 0)) result.AddError("--learning-rate must be above 0."); });

var command = new RootCommand("Fine-tunes a language model on a text.") { model, data, output, variant, shardSize, steps, rate, batch, length, dtype, prompt, seed };
command.SetAction(async (parsed, cancel) =>
{
    var options = new JobOptions(
        parsed.GetValue(model)!.FullName, parsed.GetValue(data)!.FullName, parsed.GetValue(output)!.FullName, parsed.GetValue(variant), parsed.GetValue(shardSize),
        parsed.GetValue(steps), parsed.GetValue(rate), parsed.GetValue(batch), parsed.GetValue(length), parsed.GetValue(dtype), parsed.GetValue(prompt)!, parsed.GetValue(seed));
    if (ProcessGroup.Current is { IsMain: false }) Console.SetOut(TextWriter.Null);
    try
    {
        // On a thread of its own: this one has to hear Ctrl-C.
        await Task.Run(() => Job.Run(options, cancel), CancellationToken.None);
        return 0;
    }
    catch (Exception e) when (e is FossilException or IOException or UnauthorizedAccessException)
    {
        AnsiConsole.MarkupLineInterpolated($"[red]{e.Message}[/]");
        return 1;
    }
});
// Ctrl-C lets the step end and the adapter be saved, however long that takes.
return await command.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = Timeout.InfiniteTimeSpan });

/// <summary>The dtypes that <c>--dtype</c> offers.</summary>
internal enum BaseDtype
{
    Float32,
    BFloat16,
}
