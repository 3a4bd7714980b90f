using static TorchSharp.torch;

namespace Fossil.Autograd;

/// <summary>The weight of a layer in a call: its tensors are the call's.</summary>
internal sealed class CallWeight
{
    private readonly LinearWeight weight;

    internal CallWeight(LinearWeight weight, IReadOnlyList<CallTensor> data) => (this.weight, Data) = (weight, data);

    /// <summary>The weight, over the tensors that are there now.</summary>
    public LinearWeight Value => weight.WithData([.. Data.Select(tensor => tensor.Value)]);

    /// <summary>Its tensors.</summary>
    internal IReadOnlyList<CallTensor> Data { get; }

    /// <summary>Whether a gradient is wanted: it is then one floating-point tensor.</summary>
    public bool NeedsGradient => Data is [CallInput { NeedsGradient: true }];

    /// <summary>Sets the gradient (out, in).</summary>
    public Tensor? Gradient
    {
        set => ((CallInput)Data[0]).Gradient = value;
    }
}
