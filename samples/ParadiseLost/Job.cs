using Fossil;
using Fossil.Distributed;
using Fossil.Models;
using Fossil.Training;
using Spectre.Console;
using static TorchSharp.torch;

/// <summary>What <c>--help</c> explains.</summary>
internal sealed record JobOptions(
    string Model, string Data, string Output, FossilVariant Variant, int ShardSize, int Steps, double LearningRate, int Batch, int Length, BaseDtype Dtype,
    string Prompt, int Seed);

/// <summary>What is measured before and after.</summary>
/// <param name="Target">Held-out loss on the text that the model is adapted to.</param>
/// <param name="Source">Held-out loss on Shakespeare.</param>
/// <param name="Sample">A text by the model.</param>
internal sealed record Measurement(double Target, double Source, string Sample);

/// <summary>Load, measure, attach, train, save, measure again.</summary>
internal static class Job
{
    private const double HeldOutShare = 0.1;
    private const int HeldOutWindows = 64;

    public static void Run(JobOptions options, CancellationToken cancel)
    {
        using var model = LlamaForCausalLM.FromPretrained(options.Model, options.Dtype == BaseDtype.BFloat16 ? bfloat16 : float32);
        var codec = TextCodec.Of(options.Model);
        var target = Corpus.FromFiles([options.Data], codec.Encode, HeldOutShare);
        var source = Corpus.FromFiles(Directory.GetFiles(SampleData.Find("data/shakespeare"), "*.txt"), codec.Encode, HeldOutShare);
        Describe(model, options, target);

        // Under mpirun all ranks train; one of them reports.
        var isMain = ProcessGroup.Current is null or { IsMain: true };
        var before = isMain ? AnsiConsole.Status().Start("Measuring the base model…", _ => Measure(model, codec, target, source, options, cancel)) : null;

        using var adapted = model.AttachAdapters(Configure(model, options));
        adapted.Bf16Products = options.Dtype == BaseDtype.BFloat16;
        adapted.PrintTrainableParameters();
        var (losses, outcome) = Train(model, target, options, cancel);
        if (!isMain) return;

        adapted.SavePretrained(options.Output);
        var curve = Path.Combine(options.Output, "loss.png");
        if (losses.Count > 1) LossCurve.Save(losses, before!.Target, curve);
        if (outcome == TrainingOutcome.Cancelled)
        {
            AnsiConsole.MarkupLineInterpolated($"[yellow]Stopped after {losses.Count} of {options.Steps} steps.[/] The adapter so far is in {options.Output}.");
            return;
        }

        var after = AnsiConsole.Status().Start("Measuring the adapted model…", _ => Measure(model, codec, target, source, options, cancel));
        Report.Write(before!, after, options, codec.Unit);
        AnsiConsole.WriteLine($"Adapter (PEFT reads it): {options.Output}");
        AnsiConsole.WriteLine($"Loss curve:              {curve}");
    }

    private static void Describe(LlamaForCausalLM model, JobOptions options, Corpus target)
    {
        AnsiConsole.Write(new Rule("[bold]Paradise Lost[/]") { Justification = Justify.Left });
        AnsiConsole.MarkupLineInterpolated($"Base  {model.parameters().Sum(p => p.numel()) / 1e6:f1} M parameters, {options.Dtype}, {options.Model}");
        AnsiConsole.MarkupLineInterpolated($"Text  {target.Train.Length:n0} tokens to learn from, {target.HeldOut.Length:n0} held out");
    }

    private static FossilConfig Configure(LlamaForCausalLM model, JobOptions options) => new()
    {
        ShardSize = options.ShardSize,
        Variant = options.Variant,
        // The widest shard that tiles every projection.
        MiniSize = (int)new[] { model.Config.HiddenSize, model.Config.IntermediateSize, model.Config.NumKeyValueHeads * model.Config.HeadDim }.Aggregate(Gcd),
        TargetModules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        TaskType = "CAUSAL_LM",
        BaseModelNameOrPath = options.Model,
    };

    private static int Gcd(int a, int b) => b == 0 ? a : Gcd(b, a % b);

    private static (IReadOnlyList<double> Losses, TrainingOutcome Outcome) Train(LlamaForCausalLM model, Corpus target, JobOptions options, CancellationToken cancel)
    {
        var data = TokenData.FromWindows(target.Train, Math.Min(options.Length, target.Train.Length), options.Data);
        var arguments = new TrainingArguments
        {
            MaxSteps = options.Steps,
            BatchSize = Math.Min(options.Batch, data.Count),
            LearningRate = options.LearningRate,
            LearningRateScheduler = LearningRateSchedulerType.Cosine,
            WarmupRatio = 0.05,
            LoggingSteps = 1,
            Seed = options.Seed,
        };
        using var progress = new ConsoleProgress(options.Steps);
        var trainer = new Trainer<TokenBatch>(new TrainableModule(model), model.loss, arguments, data, callbacks: [progress]);
        var result = trainer.Train(cancellation: cancel);
        return ([.. result.State.Logs.Select(log => log.Loss)], result.Outcome);
    }

    private static Measurement Measure(LlamaForCausalLM model, TextCodec codec, Corpus target, Corpus source, JobOptions options, CancellationToken cancel)
    {
        model.eval();
        var windows = Math.Max(1, Math.Min(HeldOutWindows, HeldOutWindows * 256 / options.Length));
        var length = Math.Min(options.Length, target.HeldOut.Length - 1);
        var settings = new GenerationOptions { MaxNewTokens = codec.SampleTokens, Temperature = 0.8, TopP = 0.95, Seed = options.Seed, StopTokens = [] };
        return new(
            target.HeldOutLoss(model, length, options.Batch, windows, cancel),
            source.HeldOutLoss(model, length, options.Batch, windows, cancel),
            options.Prompt + codec.Decode(model.Generate(codec.Encode(options.Prompt), settings, cancellation: cancel)));
    }
}
