using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>The kernels of a source on tensors of the CPU. A launch may use the tensors that were described since the last one, its scratch, and no byte beside them.</summary>
/// <param name="shardSize">r.</param>
/// <param name="type">The element type, as CUDA C has it.</param>
/// <param name="prefix">Text before the source.</param>
/// <param name="multiprocessors">Of the device.</param>
internal sealed class EmulatedKernels(int shardSize, string type, string prefix = "", int multiprocessors = 4) : CudaQueue
{
    private readonly CudaElement element = CudaElement.All.Single(element => element.CudaType == type);

    private readonly Dictionary<nint, long> memory = [];

    private readonly List<Tensor> counters = [];

    public CudaShardStubs Stubs { get; } = new(shardSize);

    public ScalarType Dtype => Enum.Parse<ScalarType>(element.Name);

    public override int Multiprocessors => multiprocessors;

    /// <summary>The kernel that was launched last.</summary>
    public string? Launched { get; private set; }

    /// <summary>Its blocks.</summary>
    public long Blocks { get; private set; }

    /// <summary>What it moved.</summary>
    public EmulatedTraffic Traffic => Emulation.Of(prefix + CudaShardSource.Of(shardSize, element)).Traffic;

    public CudaMatrix Matrix(Tensor tensor)
    {
        var address = NativeTensor.Data(tensor);
        var (rows, columns, stride) = (tensor.shape[0], tensor.shape[1], tensor.stride(0));
        if (rows * columns > 0) memory[address] = (((rows - 1) * stride) + columns) * tensor.ElementSize;
        return new(address, rows, columns, stride, (int)tensor.ElementSize);
    }

    public nint Address(Tensor tensor)
    {
        var address = NativeTensor.Data(tensor);
        if (tensor.numel() > 0) memory[address] = tensor.numel() * tensor.ElementSize;
        return address;
    }

    public override nint Scratch(long floats) => floats == 0 ? 0 : Address(full([floats], float.NaN));

    public override nint Counters(long count)
    {
        if (count == 0) return 0;
        counters.Add(zeros([count], dtype: int32));
        return Address(counters[^1]);
    }

    /// <summary>Equal to within float32's sums, and to one rounding of the element type.</summary>
    /// <param name="expected">In float32.</param>
    /// <param name="actual">The result.</param>
    /// <param name="at">What it is, for the message.</param>
    /// <param name="rounded">What was rounded to the element type on the way, where something was.</param>
    public void AssertClose(Tensor expected, Tensor actual, string at, Tensor? rounded = null)
    {
        Assert.False(actual.isnan().any().item<bool>(), $"{at}: not a number");
        if (expected.numel() == 0) return;
        var rounding = actual.dtype switch { ScalarType.BFloat16 => 1.0 / 128, ScalarType.Float16 => 1.0 / 1024, _ => 0 };
        var largest = expected.abs().max().item<float>();
        var size = rounded is null ? expected.abs() : expected.abs() + rounded.abs();
        var difference = (actual.to(float64) - expected.to(float64)).abs() - (size.to(float64) * rounding);
        var worst = difference.max().item<double>();
        Assert.True(worst <= 3e-6 * Math.Max(largest, 1) * Math.Sqrt(shardSize + 16), $"{at}: off by {worst:g3} beside {largest:g3}");
    }

    private protected override void Launch(CudaLaunch launch)
    {
        (Launched, Blocks) = (launch.Kernel, launch.Grid.X * launch.Grid.Y);
        var found = Emulation.Of(prefix + CudaShardSource.Of(shardSize, element)).Run(launch, memory.Select(range => (range.Key, range.Value)));
        Assert.True(found is null, $"{launch.Kernel} of shard size {shardSize}, {type}: {found}");
        Assert.All(counters, zeros => Assert.Equal(0, zeros.sum().item<long>()));
        memory.Clear();
        counters.Clear();
    }
}

/// <summary>How a matrix lies in memory.</summary>
internal sealed record Layouts(string Name, Func<Tensor, Tensor> Of)
{
    public static readonly Layouts Dense = new("dense", matrix => matrix.clone());

    private static readonly Layouts[] Others =
    [
        new("rows apart", matrix => Within(matrix, 0, 16)),
        new("unaligned", matrix => Within(matrix, 1, 8)),
        new("stride unaligned", matrix => Within(matrix, 0, 3)),
    ];

    /// <summary>Dense, and one of the others in turn.</summary>
    public static IEnumerable<Layouts> For(int turn) => [Dense, Others[turn % Others.Length]];

    private static Tensor Within(Tensor matrix, long before, long behind)
    {
        var (rows, columns) = (matrix.shape[0], matrix.shape[1]);
        var wide = full([rows, before + columns + behind], float.NaN, dtype: matrix.dtype);
        var view = wide.narrow(1, before, columns);
        view.copy_(matrix);
        return view;
    }
}
