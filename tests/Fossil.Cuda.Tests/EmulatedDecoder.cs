using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>The decoders' kernels for an element type on tensors of the CPU. A launch may use the tensors that were described since the last one, and no byte beside them.</summary>
internal sealed class EmulatedDecoder(string type)
{
    private readonly CudaElement element = CudaElement.All.Single(element => element.CudaType == type);
    private readonly Generator generator = new(5);
    private readonly Dictionary<nint, long> memory = [];

    public CudaDecoderLaunches Launches { get; } = new(CudaElement.All.Single(element => element.CudaType == type));

    public ScalarType Dtype => Enum.Parse<ScalarType>(element.Name);

    /// <summary>Random numbers without gaps, behind as many elements of other memory.</summary>
    public Tensor Random(long[] shape, int offset = 0) => Within(randn(shape, generator: generator).to(Dtype), offset);

    /// <summary>A tensor that launches are to fill.</summary>
    public Tensor Unwritten(long[] shape, int offset = 0) => Within(full(shape, float.NaN, dtype: Dtype), offset);

    /// <summary>A copy behind as many elements of other memory.</summary>
    public static Tensor Within(Tensor values, int offset)
    {
        var all = zeros([values.numel() + offset], dtype: values.dtype);
        var part = all.narrow(0, offset, values.numel());
        part.copy_(values.view(-1));
        return part.view(values.shape);
    }

    public nint Address(Tensor tensor)
    {
        var address = NativeTensor.Data(tensor);
        memory[address] = tensor.numel() * tensor.ElementSize;
        return address;
    }

    public CudaMatrix Matrix(Tensor tensor, long columns) => new(Address(tensor), tensor.numel() / columns, columns, columns);

    public void Run(CudaLaunch launch)
    {
        var found = Emulation.Of(CudaDecoderSource.Of(element)).Run(launch, memory.Select(range => (range.Key, range.Value)));
        Assert.True(found is null, $"{launch.Kernel} for {type}: {found}");
    }

    /// <summary>Equal to within float32's sums, and two roundings to the element type.</summary>
    /// <param name="expected">Of the same operands in float32, or of the CPU's kernels.</param>
    /// <param name="actual">The result.</param>
    /// <param name="at">What it is, for the message.</param>
    public void AssertClose(Tensor expected, Tensor actual, string at)
    {
        Assert.False(actual.isnan().any().item<bool>(), $"{at}: not a number");
        var rounding = Dtype switch { ScalarType.BFloat16 => 1.0 / 128, ScalarType.Float16 => 1.0 / 1024, _ => 2e-6 };
        var (wide, largest) = (expected.to(float64), Math.Max(1, expected.abs().max().to(float64).item<double>()));
        var worst = ((actual.to(float64) - wide).abs() - (wide.abs() * rounding)).max().item<double>();
        Assert.True(worst <= rounding * largest / 2, $"{at}: off by {worst:g3} beside {largest:g3}");
    }
}
