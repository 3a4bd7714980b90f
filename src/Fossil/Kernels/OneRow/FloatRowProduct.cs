using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Kernels.OneRow;

/// <summary>x Wᵀ where W is a tensor of float32 (<see cref="float"/>) or bfloat16 (<see cref="ushort"/>): each element of W is read once, the sums are in float32.</summary>
internal sealed unsafe class FloatRowProduct<T> : RowProduct where T : unmanaged
{
    private readonly Tensor weight;
    private readonly T* address;
    private readonly nint stride;

    private FloatRowProduct(Tensor weight)
    {
        (this.weight, OutFeatures, InFeatures) = (weight, weight.size(0), weight.size(1));
        address = (T*)NativeTensor.Data(weight);
        stride = (nint)weight.stride(0);
    }

    public override long OutFeatures { get; }

    public override long InFeatures { get; }

    /// <summary>The product with a matrix on the CPU whose rows are whole vectors; null for others.</summary>
    public static RowProduct? TryCreate(Tensor weight) =>
        weight.device_type == DeviceType.CPU && weight.dim() == 2 && weight.size(1) % Lanes.Count == 0 && weight.stride(1) == 1 ? new FloatRowProduct<T>(weight) : null;

    public override bool Reads(Tensor data) => ReferenceEquals(data, weight) && NativeTensor.Data(data) == (nint)address;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Run(in RowInput input, long first, long end, float* output)
    {
        for (var row = first; row < end; row++) output[row - first] = Dot(input.Values, address + ((nint)row * stride));
    }

    // A row from its beginning to its end: the processor reads ahead in one stream, not in several short ones.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private float Dot(float* x, T* row)
    {
        const int AtOnce = 4 * Lanes.Count;
        Vector512<float> a = default, b = default, c = default, d = default;
        var width = (nuint)InFeatures;
        nuint i = 0;
        for (; i + AtOnce <= width; i += AtOnce)
        {
            a = Vector512.FusedMultiplyAdd(Lanes.Load(ref *row, i), Vector512.Load(x + i), a);
            b = Vector512.FusedMultiplyAdd(Lanes.Load(ref *row, i + Lanes.Count), Vector512.Load(x + i + Lanes.Count), b);
            c = Vector512.FusedMultiplyAdd(Lanes.Load(ref *row, i + (2 * Lanes.Count)), Vector512.Load(x + i + (2 * Lanes.Count)), c);
            d = Vector512.FusedMultiplyAdd(Lanes.Load(ref *row, i + (3 * Lanes.Count)), Vector512.Load(x + i + (3 * Lanes.Count)), d);
        }

        for (; i < width; i += Lanes.Count) a = Vector512.FusedMultiplyAdd(Lanes.Load(ref *row, i), Vector512.Load(x + i), a);
        return Vector512.Sum(a + b + (c + d));
    }
}
