using System.Diagnostics;
using Fossil;
using Fossil.Models;
using static TorchSharp.torch;

/// <summary>The time of a training step in units of one bfloat16 matmul of 2048 in the same process.</summary>
internal static class StepTime
{
    private const int WarmUp = 4, Repetitions = 15, Rows = 2, Length = 128;

    public static void Run(Base source)
    {
        using var model = source.Load(bfloat16);
        var tokens = source.Text();
        var unit = Matmul();
        Console.WriteLine($"2048^3 bfloat16 matmul: {unit * 1e3:f1} ms, {get_num_threads()} threads");
        // Frozen but for the first norm: the gradient flows through every layer, to next to nothing that is trained.
        foreach (var (name, parameter) in model.named_parameters()) parameter.requires_grad_(name == "model.layers.0.input_layernorm.weight");
        Report("frozen base", Steps(model, tokens, null), unit);
        using var adapted = model.AttachAdapters(Base.Config(64));
        using var optimizer = adapted.CreateOptimizer(5e-4);
        Report("FOSSIL r=64 on all 7 projections", Steps(model, tokens, optimizer), unit);
        Console.WriteLine($"2048^3 bfloat16 matmul again: {Matmul() * 1e3:f1} ms");
        Console.WriteLine($"peak resident memory: {Base.PeakResident() / 1e6:f0} MB");
    }

    private static void Report(string title, double seconds, double unit) => Console.WriteLine($"{title}: {seconds:f3} s a step = {seconds / unit:f1} matmuls");

    private static double Steps(LlamaForCausalLM model, int[] tokens, optim.Optimizer? optimizer)
    {
        model.train();
        var seconds = new List<double>();
        for (var step = 0; step < WarmUp + Repetitions; step++)
        {
            using var scope = NewDisposeScope();
            var ids = Base.Batch(tokens, step * Rows * Length, Rows, Length);
            var clock = Stopwatch.StartNew();
            model.loss(ids, ids).backward();
            optimizer?.step();
            optimizer?.zero_grad();
            seconds.Add(clock.Elapsed.TotalSeconds);
        }
        return Base.Median(seconds.Skip(WarmUp));
    }

    private static double Matmul()
    {
        using var scope = NewDisposeScope();
        var (a, b) = (randn(2048, 2048).to(bfloat16), randn(2048, 2048).to(bfloat16));
        return Base.Median(Enumerable.Range(0, 20).Select(_ =>
        {
            var clock = Stopwatch.StartNew();
            using var product = a.mm(b);
            return clock.Elapsed.TotalSeconds;
        }).Skip(5));
    }
}
