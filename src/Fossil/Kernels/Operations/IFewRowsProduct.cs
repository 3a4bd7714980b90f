using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>y += S D with S the shard sum of x, which is made on the way: for the few rows of a decoding step, where each operation on tensors costs as much as the work itself.</summary>
internal interface IFewRowsProduct
{
    /// <summary>Rows from which on nothing is gained.</summary>
    const int MostRows = 4;

    /// <param name="output">y (rows, out).</param>
    /// <param name="input">x (rows, in), as the output.</param>
    /// <param name="shard">D (r, out), float32.</param>
    bool TryAddOfFewRows(in KernelMatrix output, in KernelMatrix input, in KernelMatrix shard);
}
