using System.Diagnostics;
using Fossil;
using Fossil.Models;
using static TorchSharp.torch;

/// <summary>A training step over the blocks of a file and over the same weights in bfloat16, in turns, so that both meet the machine in the same mood.</summary>
internal static class StepTime
{
    private const int WarmUp = 2, Repetitions = 9, Rows = 2;

    public static void Run(string path, int length)
    {
        var (kept, expanded) = (new Trained(path, keepQuantized: true), new Trained(path, keepQuantized: false));
        using (kept)
        using (expanded)
        {
            var (ratios, quantised, wide) = (new List<double>(), new List<double>(), new List<double>());
            for (var step = 0; step < WarmUp + Repetitions; step++)
            {
                var (one, other) = (kept.Step(Rows, length), expanded.Step(Rows, length));
                if (step < WarmUp) continue;
                quantised.Add(one);
                wide.Add(other);
                ratios.Add(one / other);
            }

            Console.WriteLine($"{Path.GetFileName(path)}, FOSSIL r=64, {Rows}x{length} tokens, {get_num_threads()} threads: {Median(quantised):f3} s a step over the blocks, {Median(wide):f3} s in bfloat16, ratio {Median(ratios):f3}");
        }
    }

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }

    /// <summary>A model with an adapter and its optimizer.</summary>
    private sealed class Trained : IDisposable
    {
        private readonly CausalLM model;
        private readonly AdaptedModel adapted;
        private readonly optim.Optimizer optimizer;

        public Trained(string path, bool keepQuantized)
        {
            model = AutoModelForCausalLM.FromGguf(path, bfloat16, keepQuantized: keepQuantized);
            adapted = model.AttachAdapters(new FossilConfig { ShardSize = 64 });
            optimizer = adapted.CreateOptimizer(5e-4);
            model.train();
        }

        public double Step(int rows, int length)
        {
            using var scope = NewDisposeScope();
            var ids = randint(1000, [rows, length], int64);
            var clock = Stopwatch.StartNew();
            model.loss(ids, ids).backward();
            optimizer.step();
            optimizer.zero_grad();
            return clock.Elapsed.TotalSeconds;
        }

        public void Dispose()
        {
            optimizer.Dispose();
            adapted.Dispose();
            model.Dispose();
        }
    }
}
