using System.Runtime.CompilerServices;
using Fossil.CompilerServices;
using Fossil.Targets;
using static TorchSharp.torch;

namespace Fossil.Kernels.OneRow;

/// <summary>
/// All that a linear layer computes of a single row without a gradient, with the adapter that is active on it: x Wᵀ + b, and what the adapter adds. Operations that hold several layers are made of
/// these, where each layer has one (<see cref="Of"/>); elsewhere the layers' own forward passes go one after the other.
/// </summary>
internal sealed unsafe class LayerRow
{
    private readonly RowProduct product;
    private readonly RowTerm? term;
    private readonly Tensor? bias;
    private readonly void* biasData;
    private readonly bool isRounded;
    private float* prepared;

    private LayerRow(RowProduct product, RowTerm? term, Tensor? bias, ScalarType dtype)
    {
        (this.product, this.term, this.bias, isRounded) = (product, term, bias, dtype == ScalarType.BFloat16);
        biasData = bias is null ? null : (void*)NativeTensor.Data(bias);
    }

    /// <summary>Width of the output.</summary>
    public long OutFeatures => product.OutFeatures;

    /// <summary>Width of the input.</summary>
    public long InFeatures => product.InFeatures;

    /// <summary>Whether it reads the codes of x.</summary>
    public bool ReadsCodes => product.ReadsCodes;

    /// <summary>Floats of memory beside the output.</summary>
    public long PreparedFloats => term?.PreparedFloats ?? 0;

    /// <summary>What <paramref name="layer"/> computes now; null where it is more than this, or in another dtype.</summary>
    /// <param name="layer">A layer of a model.</param>
    /// <param name="dtype">float32 or bfloat16.</param>
    public static LayerRow? Of(LinearLayer layer, ScalarType dtype)
    {
        if (layer.OneRow(dtype) is not { } product || layer.Bias is { } other && other.dtype != dtype) return null;
        if (DispatchTable.Find(layer) is not { RunsBaseAlone: false } target) return new(product, null, layer.Bias, dtype);
        return target.RowTerm is { } term ? new(product, term, layer.Bias, dtype) : null;
    }

    /// <summary>Makes the adapter's part ready.</summary>
    /// <param name="input">x.</param>
    /// <param name="memory">Room for <see cref="PreparedFloats"/>.</param>
    public void Prepare(float* input, float* memory)
    {
        prepared = memory;
        term?.Prepare(input, InFeatures, memory);
    }

    /// <summary>Computes some elements, not yet rounded to the dtype.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(in RowInput input, long first, long end, float* output)
    {
        product.Run(input, first, end, output);
        var count = end - first;
        if (biasData != null)
        {
            for (long i = 0; i < count; i++) output[i] += isRounded ? BFloat16Lanes.ToSingle(((ushort*)biasData)[first + i]) : ((float*)biasData)[first + i];
        }

        if (term is null) return;
        // As with separate operations: the base is rounded, then the sum.
        if (isRounded)
        {
            for (long i = 0; i < count; i++) output[i] = BFloat16Lanes.ToSingle(BFloat16Lanes.FromSingle(output[i]));
        }

        term.Add(prepared, first, end, output);
    }

    /// <summary>Keeps what its memory belongs to until here.</summary>
    public void KeepAlive()
    {
        GC.KeepAlive(product);
        GC.KeepAlive(bias);
    }
}
