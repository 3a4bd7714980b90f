using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>y += delta with y in 16 bits and delta in float32, rounded once. libtorch would convert y to float32 and back, in two more tensors.</summary>
internal interface IRoundedAdd
{
    /// <param name="target">y (rows, columns); updated in place.</param>
    /// <param name="delta">(rows, columns), float32.</param>
    bool TryAdd(in KernelMatrix target, in KernelMatrix delta);
}
