using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>
/// A PEFT method: FOSSIL, LoRA, … One folder under Methods holds one of these with its layers and functions, and one line in
/// <see cref="AdapterMethods"/> makes it known.
/// </summary>
public abstract class AdapterMethod
{
    /// <summary>PEFT's name of the method (<c>peft_type</c>), e.g. <c>MISS</c>.</summary>
    public abstract string PeftType { get; }

    /// <summary>Whether the method adapts embeddings, not only layers that multiply by a matrix.</summary>
    internal virtual bool AdaptsEmbeddings => false;

    /// <summary>Whether <paramref name="config"/> is of this method.</summary>
    public abstract bool Accepts(AdapterConfig config);

    /// <summary>The configuration for a target for which only its attribute says something.</summary>
    /// <param name="config">The adapter's configuration.</param>
    /// <param name="defaults">The attribute's settings.</param>
    public virtual AdapterConfig FromDefaults(AdapterConfig config, AdapterDefaults defaults) => config;

    /// <summary>Makes the layer of an adapter on a target. It must check all sizes; it creates no parameter yet.</summary>
    /// <exception cref="ShardSizeException">The settings do not fit the target's shape.</exception>
    public abstract AdapterLayer CreateLayer(AdaptedTarget target, string adapterName, AdapterConfig config);

    /// <summary>The configuration of an adapter whose parameters are a weighted sum of others'.</summary>
    /// <param name="configs">The configurations of the others, which are of this method.</param>
    /// <exception cref="AdapterCombinationException">Their changes of the weight do not add up when their parameters do.</exception>
    public virtual AdapterConfig CombinedConfig(IReadOnlyList<AdapterConfig> configs) =>
        throw new AdapterCombinationException($"Adapters of the method {PeftType} do not add up when their parameters do.");

    /// <summary>The output of the target with its base and <paramref name="layers"/>, which are all of this method.</summary>
    /// <param name="target">The target.</param>
    /// <param name="input">(…, in), in the base weight's dtype.</param>
    /// <param name="layers">The layers to apply, in order; at least one.</param>
    /// <returns>(…, out), in the base weight's dtype.</returns>
    public virtual Tensor Forward(AdaptedTarget target, Tensor input, IReadOnlyList<AdapterLayer> layers)
    {
        using var baseOutput = target.Module.forward(input);
        return AddTo(baseOutput, target, input, layers);
    }

    /// <summary><paramref name="output"/> plus what <paramref name="layers"/> add to it. None of them acts on the weight (<see cref="AdapterLayer.Chains"/>).</summary>
    public abstract Tensor AddTo(Tensor output, AdaptedTarget target, Tensor input, IReadOnlyList<AdapterLayer> layers);

    /// <summary>
    /// A batch of which each row uses its own adapter. Here each run of rows with the same adapter passes through by itself;
    /// a method that can share work between the rows overrides it.
    /// </summary>
    /// <param name="target">The target.</param>
    /// <param name="input">(batch, …, in).</param>
    /// <param name="runs">The runs, which cover the batch from the first row to the last.</param>
    public virtual Tensor ForwardRows(AdaptedTarget target, Tensor input, IReadOnlyList<RowRun> runs) => RowRun.ForwardEach(target, input, runs);
}

/// <summary>Consecutive rows of a mixed batch that use the same adapter.</summary>
/// <param name="Layer">The layer to use; null for the base alone.</param>
/// <param name="Start">The first row.</param>
/// <param name="Count">How many rows.</param>
public readonly record struct RowRun(AdapterLayer? Layer, long Start, long Count)
{
    /// <summary>Passes each run through the target by itself, with whatever method its layer is of.</summary>
    internal static Tensor ForwardEach(AdaptedTarget target, Tensor input, IReadOnlyList<RowRun> runs)
    {
        var outputs = new List<Tensor>(runs.Count);
        try
        {
            foreach (var run in runs)
            {
                using var rows = input.narrow(0, run.Start, run.Count);
                outputs.Add(run.Layer is { } layer ? layer.Method.Forward(target, rows, [layer]) : target.Module.forward(rows));
            }
            return cat(outputs, 0);
        }
        finally
        {
            foreach (var output in outputs) output.Dispose();
        }
    }
}
