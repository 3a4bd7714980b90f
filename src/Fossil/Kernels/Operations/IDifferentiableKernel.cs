namespace Fossil.Kernels;

/// <summary>A kernel of an operation that has a backward pass.</summary>
internal interface IDifferentiableKernel
{
    /// <summary>Whether it computes both passes for this size; the operands are contiguous.</summary>
    /// <param name="size">Columns of a row, or head_dim.</param>
    bool Takes(long size);
}
