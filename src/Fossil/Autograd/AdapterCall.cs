using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Autograd;

/// <summary>
/// One forward pass of an adapted layer, with its backward pass written by hand. <see cref="AdapterFunction"/> puts it into the autograd graph. A call declares its tensors in its constructor
/// (<see cref="Input(Tensor?)"/>, <see cref="Constant"/>), saves in <see cref="Forward"/> what <see cref="Backward"/> reads, and sets there the gradients that are wanted.
/// </summary>
internal abstract class AdapterCall
{
    private readonly AdapterCall whole;
    private readonly List<CallInput> inputs;
    private readonly List<CallTensor> constants;
    private readonly List<CallTensor> saved;
    private readonly List<Tensor> temporaries;
    private bool isRecorded;

    /// <summary>A call.</summary>
    /// <param name="whole">The call that it is a part of: the tensors are that one's. Null for one by itself.</param>
    protected AdapterCall(AdapterCall? whole = null) =>
        (this.whole, inputs, constants, saved, temporaries) = (whole ?? this, whole?.inputs ?? [], whole?.constants ?? [], whole?.saved ?? [], whole?.temporaries ?? []);

    /// <summary>The tensors that a gradient may be wanted for.</summary>
    internal IReadOnlyList<CallInput> Inputs => inputs;

    /// <summary>The guard of the model that the call belongs to; null outside of any.</summary>
    internal ModelGuard? Guard { get; set; }

    /// <summary>Where a failure of the backward pass is reported.</summary>
    internal BackwardFailures Failures { get; set; } = BackwardFailures.OfThread;

    /// <summary>Who is told how far the backward pass is; null for nobody.</summary>
    internal GradientProgress? Progress { get; private set; }

    /// <summary>The parameters of which the call gives gradients, by the observer's numbers.</summary>
    internal int[] Observed { get; private set; } = [];

    /// <summary>Whether a backward pass may follow.</summary>
    public bool IsRecorded => whole.isRecorded;

    /// <summary>What <see cref="Forward"/> saved.</summary>
    internal IReadOnlyList<CallTensor> Saved => saved;

    /// <summary>The output, not a view: a view could not be modified in place by the caller afterwards.</summary>
    public abstract Tensor Forward();

    /// <summary>The outputs of a call that has several.</summary>
    public virtual Tensor[] ForwardAll() => [Forward()];

    /// <summary>Sets the gradient of each input that needs one, from what <see cref="Forward"/> saved.</summary>
    /// <param name="gradOutput">The gradient of the output.</param>
    public abstract void Backward(Tensor gradOutput);

    /// <summary>As <see cref="Backward"/>, of a call with several outputs.</summary>
    /// <param name="gradOutputs">Their gradients, not all null; null where an output got none.</param>
    public virtual void BackwardAll(IReadOnlyList<Tensor?> gradOutputs) => Backward(gradOutputs[0]!);

    /// <summary>Declares a tensor that a gradient may be wanted for; null where there is none.</summary>
    protected CallInput Input(Tensor? tensor)
    {
        var input = new CallInput(tensor);
        inputs.Add(input);
        return input;
    }

    /// <summary>Declares a layer's weight, of which a gradient may be wanted where it is a floating-point tensor.</summary>
    protected CallWeight Input(LinearWeight weight) => new(weight, [.. weight.IsFrozen ? weight.Data.Select(Constant) : weight.Data.Select(Input)]);

    /// <summary>Declares a tensor that the call reads and that gets no gradient; null where there is none.</summary>
    protected CallTensor Constant(Tensor? tensor)
    {
        var constant = new CallTensor(tensor);
        constants.Add(constant);
        return constant;
    }

    /// <summary>Keeps a tensor that somebody else owns for the backward pass; autograd notices if it is modified before.</summary>
    protected void Save(CallTensor tensor)
    {
        if (IsRecorded) saved.Add(tensor);
    }

    /// <summary>Keeps a layer's weight for the backward pass.</summary>
    protected void Save(CallWeight weight)
    {
        foreach (var tensor in weight.Data) Save(tensor);
    }

    /// <summary>Keeps a tensor that this call created, or disposes it after the forward pass where no backward pass can follow.</summary>
    protected CallTensor SaveOwned(Tensor tensor)
    {
        tensor.DetachFromDisposeScope();
        temporaries.Add(tensor);
        var owned = Constant(tensor);
        Save(owned);
        return owned;
    }

    /// <summary>Finds out which inputs need a gradient. Before <see cref="Forward"/>.</summary>
    internal void Begin()
    {
        if (!is_grad_enabled()) return;
        foreach (var input in inputs) input.NeedsGradient = input.Optional is { requires_grad: true };
        isRecorded = inputs.Exists(input => input.NeedsGradient);
        if (!IsRecorded || GradientProgress.Current is not { } progress) return;
        (Progress, Observed) = (progress, progress.NumbersOf(inputs));
    }

    /// <summary>The gradients, by the inputs' order.</summary>
    /// <param name="gradOutputs">The gradients of the outputs; null where one got none.</param>
    /// <param name="kept">What autograd kept of <see cref="Saved"/>.</param>
    internal Tensor?[] Gradients(IReadOnlyList<Tensor?> gradOutputs, IReadOnlyList<Tensor?> kept)
    {
        for (var i = 0; i < saved.Count; i++) saved[i].Set(kept[i]);
        foreach (var input in inputs) input.FindSlot();
        try
        {
            BackwardAll(gradOutputs);
            return [.. inputs.Select(input => input.TakeGradient())];
        }
        finally
        {
            ReleaseReferences();
        }
    }

    /// <summary>Lets go of the managed references: autograd holds its own, and the graph node, which lives on, must not keep the inputs alive.</summary>
    internal void Release()
    {
        foreach (var tensor in temporaries) tensor.Dispose();
        temporaries.Clear();
        ReleaseReferences();
    }

    private void ReleaseReferences()
    {
        foreach (var input in inputs) input.Set(null);
        foreach (var constant in constants) constant.Set(null);
    }
}
