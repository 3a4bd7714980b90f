using System.Diagnostics;
using Fossil;
using Fossil.Models;
using Fossil.Training;
using static TorchSharp.torch;

/// <summary>A model with an adapter (FOSSIL, r = 64, all projections) and its optimizer, over bfloat16 weights or over the blocks of a file.</summary>
internal sealed class TrainedModel : IDisposable
{
    public const int Rows = 2;

    private readonly AdaptedModel adapted;
    private readonly optim.Optimizer optimizer;

    /// <param name="model">The model, which this disposes.</param>
    /// <param name="recompute">Whether activations are computed again in the backward pass.</param>
    public TrainedModel(CausalLM model, bool recompute = false)
    {
        Model = model;
        adapted = Model.AttachAdapters(new FossilConfig { ShardSize = 64 });
        optimizer = adapted.CreateOptimizer(5e-4);
        Model.train();
        foreach (var part in Model.modules().OfType<ISupportsGradientCheckpointing>()) part.GradientCheckpointing = recompute;
    }

    public CausalLM Model { get; }

    /// <summary>Takes a step on random tokens.</summary>
    /// <returns>Its seconds.</returns>
    public double Step(int length)
    {
        using var scope = NewDisposeScope();
        var ids = randint(1000, [Rows, length], int64);
        var clock = Stopwatch.StartNew();
        Model.loss(ids, ids).backward();
        optimizer.step();
        optimizer.zero_grad();
        return clock.Elapsed.TotalSeconds;
    }

    public void Dispose()
    {
        optimizer.Dispose();
        adapted.Dispose();
        Model.Dispose();
    }
}
