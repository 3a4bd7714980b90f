using static TorchSharp.torch;

namespace Fossil.Kernels.OneRow;

/// <summary>x Wᵀ of a single row x, some elements at a time: threads share a product, and a launch may hold several products of the same x.</summary>
internal abstract unsafe class RowProduct
{
    /// <summary>Width of the output.</summary>
    public abstract long OutFeatures { get; }

    /// <summary>Width of x.</summary>
    public abstract long InFeatures { get; }

    /// <summary>Whether it reads the codes of x, and not its values.</summary>
    public virtual bool ReadsCodes => false;

    /// <summary>Whether it is the product with these tensors, as they lie now.</summary>
    /// <param name="data">The first tensor of the weight.</param>
    public abstract bool Reads(Tensor data);

    /// <summary>Computes some elements. An element comes out the same whichever it is computed with.</summary>
    /// <param name="input">x.</param>
    /// <param name="first">The first element.</param>
    /// <param name="end">The one behind the last.</param>
    /// <param name="output">Receives the first, and those after it.</param>
    public abstract void Run(in RowInput input, long first, long end, float* output);
}
