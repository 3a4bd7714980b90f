// Steps of SmolLM2 with FOSSIL (r = 64) or LoRA: seconds, bytes that a rank sends, seconds that it waits.
//   mpirun -np 2 dotnet Distributed.dll --threads 1 --batch 2
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Fossil;
using Fossil.Distributed;
using Fossil.Models;
using Fossil.Training;
using static TorchSharp.torch;

var threads = new Option<int>("--threads") { Description = "Threads of each rank", DefaultValueFactory = _ => 1 };
var batch = new Option<int>("--batch") { Description = "Windows of a step, of all ranks together", DefaultValueFactory = _ => 4 };
var length = new Option<int>("--length") { Description = "Tokens of a window", DefaultValueFactory = _ => 128 };
var steps = new Option<int>("--steps") { Description = "Measured steps, after three others", DefaultValueFactory = _ => 10 };
var lora = new Option<bool>("--lora") { Description = "LoRA of rank 64 instead of FOSSIL" };
var bf16 = new Option<bool>("--bf16-hook") { Description = "Gradients travel as bfloat16" };
var command = new RootCommand("Measures data-parallel steps.") { threads, batch, length, steps, lora, bf16 };
command.SetAction(parsed =>
{
    const int WarmUp = 3;
    set_num_threads(parsed.GetValue(threads));
    var group = ProcessGroup.Current;
    using var model = LlamaForCausalLM.FromGguf(SmolModel.Find(), ScalarType.Float32);
    string[] targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    random.manual_seed(1);
    using var adapted = model.AttachAdapters(parsed.GetValue(lora) ? new LoraConfig { TargetModules = targets, Rank = 64 } : new FossilConfig { TargetModules = targets, ShardSize = 64 });
    var numbers = new Random(1);
    var data = TokenData.FromWindows([.. Enumerable.Range(0, 64 * parsed.GetValue(length)).Select(_ => numbers.Next(40_000))], parsed.GetValue(length), "random tokens");
    var clock = new StepClock(WarmUp);
    var arguments = new TrainingArguments
    {
        MaxSteps = WarmUp + parsed.GetValue(steps), BatchSize = parsed.GetValue(batch) / (group?.Size ?? 1), LearningRate = 1e-3, LoggingSteps = 1000, DdpCommHook = parsed.GetValue(bf16) ? DdpCommHook.Bf16 : DdpCommHook.None,
    };
    new Trainer<TokenBatch>(adapted, model.loss, arguments, data, callbacks: [clock]).Train();
    if (group is not { IsMain: false })
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{group?.Size ?? 1} ranks x {parsed.GetValue(threads)} threads, {adapted.CountParameters().Trainable / 1e6:F2} M parameters: {clock.Median:F4} s a step; each rank sends {clock.SentBytes / 1e6:F2} MB, waits {clock.WaitingSeconds:F4} s; {clock.OverlappedShare:P0} of the bytes began before the backward pass ended"));
});
return command.Parse(args).Invoke();

/// <summary>Takes the time of steps on rank 0.</summary>
internal sealed class StepClock(int warmUp) : TrainerCallback
{
    private readonly List<double> seconds = [], waiting = [];
    private long last;

    public double Median => seconds.Order().ElementAt(seconds.Count / 2);

    public double WaitingSeconds => waiting.Count == 0 ? 0 : waiting.Order().ElementAt(waiting.Count / 2);

    public long SentBytes { get; private set; }

    public double OverlappedShare { get; private set; }

    public override bool OnStepEnd(TrainerState state)
    {
        var now = Stopwatch.GetTimestamp();
        if (state.GlobalStep > warmUp)
        {
            seconds.Add(Stopwatch.GetElapsedTime(last, now).TotalSeconds);
            if (ProcessGroup.Current?.LastReduction is { } report)
            {
                waiting.Add(report.WaitingSeconds);
                (SentBytes, OverlappedShare) = (report.SentBytes, report.OverlappedShare);
            }
        }

        last = now;
        return true;
    }
}
