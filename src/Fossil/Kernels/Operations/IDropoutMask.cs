using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>Whether elements are kept, each by a number that is a function of its row's key and its own number: the same on every device, whoever computes it.</summary>
internal interface IDropoutMask
{
    /// <param name="mask">(rows, columns) bool without gaps; written.</param>
    /// <param name="rows">What the numbers of each row are made of.</param>
    /// <param name="threshold">The number below which an element is dropped.</param>
    bool TryFill(in KernelMatrix mask, DropoutRow[] rows, uint threshold);
}

/// <summary>What the numbers of a mask's row are made of.</summary>
/// <param name="First">A half of its key.</param>
/// <param name="Second">The other half.</param>
/// <param name="Offset">The number of its first element.</param>
internal readonly record struct DropoutRow(uint First, uint Second, uint Offset);
