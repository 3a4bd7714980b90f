// Pre-trains a byte-level decoder of the Llama family on the works of Shakespeare and writes it as a Hugging Face folder.
//   dotnet run -c Release --project samples/Pretrain -- --minutes 60
using System.CommandLine;
using TorchSharp;

var data = new Option<DirectoryInfo>("--data") { Description = "Folder of the text files", DefaultValueFactory = _ => new DirectoryInfo(SampleData.Find("data/shakespeare")) };
var output = new Option<DirectoryInfo>("--output") { Description = "Folder for the model", DefaultValueFactory = _ => new DirectoryInfo("out/shakespeare") };
var resume = new Option<DirectoryInfo?>("--resume") { Description = "A model folder to start from instead of fresh weights" };
var width = new Option<int>("--width") { Description = "Width of the residual stream", DefaultValueFactory = _ => 192 };
var layers = new Option<int>("--layers") { Description = "Number of layers", DefaultValueFactory = _ => 4 };
var steps = new Option<int>("--steps") { Description = "Number of optimizer steps", DefaultValueFactory = _ => 6000 };
var minutes = new Option<double?>("--minutes") { Description = "Schedule by the clock instead of by --steps: end after this time" };
var start = new Option<double>("--start") { Description = "Where in the schedule to start, 0 to 1 (with --resume)", DefaultValueFactory = _ => 0 };
var batch = new Option<int>("--batch") { Description = "Windows per step", DefaultValueFactory = _ => 16 };
var length = new Option<int>("--length") { Description = "Bytes per window", DefaultValueFactory = _ => 256 };
var rate = new Option<double>("--learning-rate") { Description = "Highest learning rate of AdamW (embedding and norms)", DefaultValueFactory = _ => 3e-3 };
var muonRate = new Option<double>("--muon-learning-rate") { Description = "Highest learning rate of Muon (projections)", DefaultValueFactory = _ => 0.02 };
var every = new Option<int>("--evaluate-every") { Description = "Steps between evaluations and checkpoints", DefaultValueFactory = _ => 250 };
var seed = new Option<int>("--seed") { Description = "Seed of weights and windows", DefaultValueFactory = _ => 1 };
var threads = new Option<int?>("--threads") { Description = "libtorch's threads" };

var command = new RootCommand("Pre-trains a byte-level decoder on Shakespeare.")
{
    data, output, resume, width, layers, steps, minutes, start, batch, length, rate, muonRate, every, seed, threads,
};
command.SetAction(async (parsed, cancel) =>
{
    if (parsed.GetValue(threads) is { } count) torch.set_num_threads(count);
    var options = new PretrainOptions(
        parsed.GetValue(data)!.FullName, parsed.GetValue(output)!.FullName, parsed.GetValue(resume)?.FullName, parsed.GetValue(width), parsed.GetValue(layers),
        parsed.GetValue(steps), parsed.GetValue(minutes), parsed.GetValue(start), parsed.GetValue(batch), parsed.GetValue(length), parsed.GetValue(rate),
        parsed.GetValue(muonRate), parsed.GetValue(every), parsed.GetValue(seed));
    // On a thread of its own: this one has to hear Ctrl-C.
    await Task.Run(() => Pretraining.Run(options, cancel), CancellationToken.None);
    return 0;
});
// Ctrl-C lets the step end and the model be saved, however long that takes.
return await command.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = Timeout.InfiniteTimeSpan });
