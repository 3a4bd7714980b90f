using Fossil.CompilerServices;
using Fossil.Weights;

namespace Fossil.Kernels;

/// <summary>Products with a weight W (out, in) that is held as blocks or codes, and its rows as numbers.</summary>
internal interface IEncodedProduct
{
    /// <summary>y = x Wᵀ.</summary>
    /// <param name="output">y (rows, out), in one of the dtypes that weights are computed in.</param>
    /// <param name="input">x (rows, in), as y.</param>
    /// <param name="weight">W, on the same device.</param>
    /// <param name="adds">Whether the product is added to y, which is rounded once then; y is written and not read otherwise.</param>
    bool TryProduct(in KernelMatrix output, in KernelMatrix input, EncodedForm weight, bool adds);

    /// <summary>dx = dy W.</summary>
    /// <param name="inputGradient">dx (rows, in).</param>
    /// <param name="gradOutput">dy (rows, out), as dx.</param>
    /// <param name="weight">W, on the same device.</param>
    /// <param name="adds">As in <see cref="TryProduct"/>.</param>
    bool TryInputGradient(in KernelMatrix inputGradient, in KernelMatrix gradOutput, EncodedForm weight, bool adds);

    /// <summary>Rows of W from a column on.</summary>
    /// <param name="values">(count, columns); written.</param>
    /// <param name="weight">W, on the same device.</param>
    /// <param name="first">The number of the first row, and of the first column.</param>
    /// <param name="numbers">(1, count), int64: the rows, where they do not follow each other; without an address where they do.</param>
    bool TryWrite(in KernelMatrix values, EncodedForm weight, (long Row, long Column) first, in KernelMatrix numbers);
}
