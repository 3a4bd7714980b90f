using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda;

/// <summary>A kernel of decoders on CUDA devices, for one element type: it looks for the device, and has its source compiled there, before the operation enters libtorch's graph.</summary>
/// <param name="runtime">Devices.</param>
/// <param name="element">The element type.</param>
internal abstract class CudaDecoderKernel(CudaRuntime runtime, CudaElement element) : IDifferentiableKernel
{
    private readonly string source = CudaDecoderSource.Of(element);

    protected CudaDecoderLaunches Launches { get; } = new(element);

    public virtual bool Takes(long size, ScalarType elementType, DevicePlace place) =>
        CudaDecoderLaunches.Takes(1, size) && Device(place) is { } device && device.Prepare(source, $"the kernels of decoders for {element.CudaType}");

    protected int Multiprocessors(in KernelMatrix operand) => Device(DevicePlace.Of(operand.Tensor))!.Multiprocessors;

    protected void Launch(in KernelMatrix operand, CudaLaunch launch)
    {
        if (!CudaDecoderLaunches.Takes(operand.Rows, operand.Columns)) throw new CudaException($"{launch.Kernel} has no launch for {operand.Rows} rows of {operand.Columns} elements: there may be 2,147,483,647 of 1,073,741,824. Split the batch.");
        Device(DevicePlace.Of(operand.Tensor))!.Launch(source, launch);
    }

    private CudaDevice? Device(DevicePlace place) => runtime.Device(Math.Max(0, place.Index));
}

/// <summary>The norm.</summary>
/// <param name="runtime">Devices.</param>
/// <param name="element">The element type.</param>
/// <param name="scratch">Memory beside the operands.</param>
internal sealed class CudaRmsNorm(CudaRuntime runtime, CudaElement element, CudaScratch scratch) : CudaDecoderKernel(runtime, element), IRmsNorm
{
    public void Forward(in KernelMatrix input, in KernelMatrix weight, in KernelMatrix output, in KernelMatrix scales, double eps) =>
        Launch(input, Launches.RmsNorm(CudaMatrix.Of(input), weight.Address, output.Address, scales.Address, (float)eps));

    public void InputGradient(in KernelMatrix input, in KernelMatrix weight, in KernelMatrix gradOutput, in KernelMatrix inputGradient, in KernelMatrix scales) =>
        Launch(input, Launches.RmsNormInputGradient(CudaMatrix.Of(input), weight.Address, gradOutput.Address, inputGradient.Address, scales.Address));

    public void WeightGradient(in KernelMatrix input, in KernelMatrix gradOutput, in KernelMatrix weightGradient, in KernelMatrix scales)
    {
        var x = CudaMatrix.Of(input);
        var split = Launches.SplitOfWeightGradient(x, Multiprocessors(input));
        using var parts = CudaScratch.Of(input, split.Slices > 1 ? split.Slices * x.Columns : 0);
        var counters = scratch.Counters(input, split.Slices > 1 ? split.Tiles : 0);
        Launch(input, CudaDecoderLaunches.RmsNormWeightGradient(x, gradOutput.Address, scales.Address, weightGradient.Address, split, CudaScratch.Address(parts), counters));
    }
}

/// <summary>The rotation.</summary>
/// <inheritdoc cref="CudaDecoderKernel" path="/param"/>
internal sealed class CudaRotary(CudaRuntime runtime, CudaElement element) : CudaDecoderKernel(runtime, element), IRotary
{
    public override bool Takes(long size, ScalarType elementType, DevicePlace place) => size % 2 == 0 && base.Takes(size, elementType, place);

    public void Forward(in KernelMatrix heads, in KernelMatrix output, in KernelMatrix cos, in KernelMatrix sin, int size, int repeat) =>
        Launch(output, Launches.Rotary(CudaMatrix.Of(heads), output.Address, CudaMatrix.Of(cos), sin.Address, size, repeat));

    public void Backward(in KernelMatrix gradOutput, in KernelMatrix gradient, in KernelMatrix cos, in KernelMatrix sin, int size, int repeat) =>
        Launch(gradOutput, Launches.RotaryBackward(gradOutput.Address, CudaMatrix.Of(gradient), CudaMatrix.Of(cos), sin.Address, size, repeat));
}

/// <summary>A gate.</summary>
/// <param name="runtime">Devices.</param>
/// <param name="element">The element type.</param>
/// <param name="activation">As in <see cref="CudaDecoderLaunches.Gate"/>.</param>
internal abstract class CudaGate(CudaRuntime runtime, CudaElement element, string activation) : CudaDecoderKernel(runtime, element), IGate
{
    public void Forward(in KernelMatrix gate, in KernelMatrix up, in KernelMatrix output) => Launch(gate, Launches.Gate(activation, gate.Address, up.Address, output.Address, gate.Rows * gate.Columns));

    public void Backward(in KernelMatrix gate, in KernelMatrix up, in KernelMatrix gradOutput, in KernelMatrix gateGradient, in KernelMatrix upGradient) =>
        Launch(gate, Launches.GateBackward(activation, gate.Address, up.Address, gradOutput.Address, gateGradient.Address, upGradient.Address, gate.Rows * gate.Columns));
}

/// <summary>The gate with SiLU.</summary>
/// <inheritdoc cref="CudaDecoderKernel" path="/param"/>
internal sealed class CudaSiluGate(CudaRuntime runtime, CudaElement element) : CudaGate(runtime, element, "silu");

/// <summary>The gate with GELU.</summary>
/// <inheritdoc cref="CudaDecoderKernel" path="/param"/>
internal sealed class CudaGeluGate(CudaRuntime runtime, CudaElement element) : CudaGate(runtime, element, "gelu"), IGeluGate;

/// <summary>The cross-entropy.</summary>
/// <inheritdoc cref="CudaDecoderKernel" path="/param"/>
internal sealed class CudaCrossEntropy(CudaRuntime runtime, CudaElement element) : CudaDecoderKernel(runtime, element), ICrossEntropy
{
    public long ElementsAtOnce => 1 << 26;

    public void Run(in KernelMatrix logits, in KernelMatrix targets, in KernelMatrix losses, bool gradient, float scale) =>
        Launch(logits, CudaDecoderLaunches.CrossEntropy(CudaMatrix.Of(logits), CudaMatrix.Of(targets), losses.Address, gradient, scale));
}
