using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>What all layers of an adapter share, and training leaves as it is (VeRA: its two random matrices). Disposing it means that the adapter is gone: others may share it still.</summary>
internal abstract class SharedTensors : IDisposable
{
    /// <summary>What goes into the adapter's file.</summary>
    public abstract IEnumerable<(AdapterTensorName Name, Tensor Tensor)> ToWrite { get; }

    /// <summary>Checks that a file of the adapter means the same tensors.</summary>
    /// <exception cref="AdapterFileException">It does not.</exception>
    public abstract void Check(AdapterFile file);

    /// <inheritdoc/>
    public abstract void Dispose();
}
