using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>Values of one adapter's parameters at one moment, in float32 or float64, by kind. Disposing it disposes them.</summary>
public sealed class AdapterValues : IDisposable
{
    private readonly Dictionary<string, Tensor> tensors = [];

    /// <summary>The tensor of this kind (<c>miss_block</c>, <c>lora_A</c>, …).</summary>
    public Tensor this[string kind] => tensors[kind];

    /// <summary>Adds a tensor and takes it over, out of any dispose scope.</summary>
    public void Add(string kind, Tensor tensor) => tensors.Add(kind, tensor.DetachFromDisposeScope());

    /// <summary>Releases the tensors.</summary>
    public void Dispose()
    {
        foreach (var tensor in tensors.Values) tensor.Dispose();
        tensors.Clear();
    }
}
