using System.Diagnostics;
using Fossil;
using Fossil.Models;
using static TorchSharp.torch;

/// <summary>The time of a training step in units of one bfloat16 matmul of 2048 in the same process.</summary>
internal static class StepTime
{
    private const int WarmUp = 4, Repetitions = 25, MatmulsAStep = 3, Rows = 2, Length = 128;

    public static void Run(Base source)
    {
        using var model = source.Load(bfloat16);
        var tokens = source.Text();
        Console.WriteLine($"{get_num_threads()} threads");
        // Frozen but for the first norm: the gradient flows through every layer, to next to nothing that is trained.
        foreach (var (name, parameter) in model.named_parameters()) parameter.requires_grad_(name == "model.layers.0.input_layernorm.weight");
        Measure("frozen base", model, tokens, null);
        using var adapted = model.AttachAdapters(Base.Config(64));
        using var optimizer = adapted.CreateOptimizer(5e-4);
        Measure("FOSSIL r=64 on all 7 projections", model, tokens, optimizer);
        Console.WriteLine($"peak resident memory: {Base.PeakResident() / 1e6:f0} MB");
    }

    /// <summary>Steps and matmuls in turns: both meet the machine in the same mood.</summary>
    private static void Measure(string title, LlamaForCausalLM model, int[] tokens, optim.Optimizer? optimizer)
    {
        model.train();
        using var scope = NewDisposeScope();
        var (a, b) = (randn(2048, 2048).to(bfloat16), randn(2048, 2048).to(bfloat16));
        var (steps, matmuls) = (new List<double>(), new List<double>());
        for (var step = 0; step < WarmUp + Repetitions; step++)
        {
            using var inner = NewDisposeScope();
            var ids = Base.Batch(tokens, step * Rows * Length, Rows, Length);
            var clock = Stopwatch.StartNew();
            model.loss(ids, ids).backward();
            optimizer?.step();
            optimizer?.zero_grad();
            steps.Add(clock.Elapsed.TotalSeconds);
            clock.Restart();
            for (var i = 0; i < MatmulsAStep; i++) a.mm(b);
            matmuls.Add(clock.Elapsed.TotalSeconds / MatmulsAStep);
        }
        var (seconds, unit) = (Base.Median(steps.Skip(WarmUp)), Base.Median(matmuls.Skip(WarmUp)));
        Console.WriteLine($"{title}: {seconds:f3} s a step = {seconds / unit:f1} matmuls of {unit * 1e3:f1} ms");
    }
}
