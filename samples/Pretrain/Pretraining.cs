using System.Diagnostics;
using Fossil.Models;
using static TorchSharp.torch;

/// <summary>What <c>Pretrain --help</c> explains.</summary>
internal sealed record PretrainOptions(
    string Data, string Output, string? Resume, int Width, int Layers, int Steps, double? Minutes, double Start, int Batch, int Length,
    double LearningRate, double MuonLearningRate, int EvaluateEvery, int Seed);

/// <summary>
/// Forward and backward passes in bfloat16, weights kept in float32 by the optimizers. Projections are trained by Muon, everything else by AdamW; learning rates
/// warm up over 2 % of the schedule and fall by half a cosine to zero.
/// </summary>
internal static class Pretraining
{
    public static void Run(PretrainOptions options, CancellationToken cancel)
    {
        random.manual_seed(options.Seed);
        var windows = new Random(options.Seed);
        var corpus = Corpus.FromFiles(Directory.GetFiles(options.Data, "*.txt"), ByteTokenizer.Encode, heldOutShare: 0.1);

        using var model = Create(options);
        model.train();
        using var optimizer = new MixedPrecisionOptimizer(model);
        Console.WriteLine($"{model.parameters().Sum(p => p.numel()):n0} parameters, {corpus.Train.Length:n0} bytes to learn from, {corpus.HeldOut.Length:n0} held out");

        var clock = Stopwatch.StartNew();
        double smoothed = 0;
        for (var step = 1; ; step++)
        {
            var run = options.Minutes is { } limit ? clock.Elapsed.TotalMinutes / limit : (step - 1.0) / options.Steps;
            var progress = options.Start + (1 - options.Start) * run;
            if (progress >= 1 || cancel.IsCancellationRequested) break;

            var loss = Step(model, optimizer, corpus.Sample(windows, options.Batch, options.Length + 1), Schedule(progress, options.Start), options);
            smoothed = step == 1 ? loss : 0.98 * smoothed + 0.02 * loss;
            if (step % 50 == 0)
            {
                var speed = step * (long)options.Batch * options.Length / clock.Elapsed.TotalSeconds;
                Console.WriteLine($"{clock.Elapsed:hh\\:mm\\:ss} step {step}, {progress:p1}: loss {smoothed:f4}, {speed:n0} tokens/s");
            }
            if (step % options.EvaluateEvery == 0)
            {
                Console.WriteLine($"  held out (part): {corpus.HeldOutLoss(model, options.Length, 16, maxWindows: 96):f4} nats a byte");
                model.SavePretrained(options.Output, bfloat16);
            }
        }

        model.SavePretrained(options.Output, bfloat16);
        Console.WriteLine($"Saved {options.Output} after {clock.Elapsed:hh\\:mm\\:ss}.");
        model.eval();
        Console.WriteLine($"Held out: {corpus.HeldOutLoss(model, options.Length, 16, cancel: CancellationToken.None):f4} nats a byte");
    }

    private static LlamaForCausalLM Create(PretrainOptions options)
    {
        if (options.Resume is { } folder) return LlamaForCausalLM.FromPretrained(folder, bfloat16);
        const int headDim = 32;
        return new LlamaForCausalLM(new LlamaConfig
        {
            VocabSize = ByteTokenizer.VocabSize,
            HiddenSize = options.Width,
            IntermediateSize = options.Width * 8 / 3 / 64 * 64,
            NumHiddenLayers = options.Layers,
            NumAttentionHeads = options.Width / headDim,
            NumKeyValueHeads = Math.Max(1, options.Width / headDim / 3),
            HeadDim = headDim,
            MaxPositionEmbeddings = 1024,
            TieWordEmbeddings = true,
            InitializerRange = 0.04,
        }, bfloat16);
    }

    private static float Step(LlamaForCausalLM model, MixedPrecisionOptimizer optimizer, Tensor ids, double schedule, PretrainOptions options)
    {
        using var scope = NewDisposeScope();
        using var window = ids;
        var loss = model.loss(window, window);
        loss.backward();
        optimizer.Step(schedule * options.LearningRate, schedule * options.MuonLearningRate);
        return loss.item<float>();
    }

    private static double Schedule(double progress, double start)
    {
        const double warmUp = 0.02;
        return Math.Min(1, (progress - start + 1e-4) / warmUp) * 0.5 * (1 + Math.Cos(Math.PI * progress));
    }
}
