using Fossil.Concurrency;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Autograd;

/// <summary>
/// One forward pass of an adapted layer, with its backward pass written by hand. <see cref="AdapterFunction"/> puts it into the autograd graph.
/// </summary>
internal abstract class AdapterCall
{
    private readonly List<Tensor?> saved = [];
    private readonly List<Tensor> temporaries = [];
    private (long[] Shape, ScalarType Dtype, Device Device)?[] leaves = [];

    /// <summary>The tensors that a gradient may be wanted for; null where one is absent.</summary>
    public abstract IReadOnlyList<Tensor?> Inputs { get; }

    /// <summary>Which of <see cref="Inputs"/> want a gradient. Set before <see cref="Forward"/>.</summary>
    public bool[] Needs { get; set; } = [];

    /// <summary>The guard of the model that the call belongs to; null outside of any.</summary>
    internal ModelGuard? Guard { get; set; }

    /// <summary>Where a failure of the backward pass is reported.</summary>
    internal BackwardFailures Failures { get; set; } = BackwardFailures.OfThread;

    /// <summary>Whether a backward pass may follow.</summary>
    public bool IsRecorded => Array.IndexOf(Needs, true) >= 0;

    /// <summary>What <see cref="Forward"/> kept.</summary>
    internal List<Tensor?> Saved => saved;

    /// <summary>The output, not a view: a view could not be modified in place by the caller afterwards.</summary>
    public abstract Tensor Forward();

    /// <summary>The gradient of each of <see cref="Inputs"/>; null where none is wanted.</summary>
    /// <param name="gradOutput">The gradient of the output.</param>
    /// <param name="saved">What the forward pass kept, in the order in which it was kept.</param>
    public abstract Tensor?[] Backward(Tensor gradOutput, IReadOnlyList<Tensor?> saved);

    /// <summary>Keeps <paramref name="tensor"/>, which somebody else owns, for the backward pass; autograd notices if it is modified before.</summary>
    protected void Save(Tensor? tensor)
    {
        if (IsRecorded) saved.Add(tensor);
    }

    /// <summary>Keeps a tensor that this call created, or disposes it after the forward pass where no backward pass can follow.</summary>
    protected void SaveOwned(Tensor tensor)
    {
        tensor.DetachFromDisposeScope();
        temporaries.Add(tensor);
        Save(tensor);
    }

    /// <summary>Remembers which inputs are tensors that the caller made to see their gradient, so that one can be made whatever happens.</summary>
    internal void Describe(IReadOnlyList<Tensor?> inputs) =>
        leaves = [.. inputs.Select((input, i) => Needs[i] && input is { is_leaf: true } and not Parameter ? (input.shape, input.dtype, input.device) : ((long[], ScalarType, Device)?)null)];

    /// <summary>
    /// What an input gets after a failure: NaN where it is a tensor whose gradient the caller asked for, and nothing otherwise. An optimizer that knows nothing of this library must not
    /// write NaN into parameters.
    /// </summary>
    internal Tensor? FailedGradient(int input) =>
        leaves[input] is (var shape, var dtype, var device) ? full(shape, Scalars.Of(double.NaN), dtype: dtype, device: device) : null;

    /// <summary>Drops the references to the inputs: the graph node lives on, and must not keep them alive.</summary>
    internal abstract void ReleaseInputs();

    /// <summary>Lets go of the managed references; autograd holds its own.</summary>
    internal void ReleaseTemporaries()
    {
        foreach (var tensor in temporaries) tensor.Dispose();
        temporaries.Clear();
        saved.Clear();
        ReleaseInputs();
    }
}
