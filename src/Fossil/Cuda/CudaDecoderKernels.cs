using System.Collections.Concurrent;
using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda;

/// <summary>The kernels of decoders on CUDA devices, as kernels of the operations, for one element type.</summary>
/// <param name="runtime">Devices.</param>
/// <param name="scratch">Memory beside the operands.</param>
/// <param name="element">The element type.</param>
internal sealed class CudaDecoderKernels(CudaRuntime runtime, CudaScratch scratch, CudaElement element) : IRmsNorm, IRotary, IGate, ICrossEntropy
{
    private readonly Lazy<string> source = new(() => CudaDecoderSource.Of(element));
    private readonly CudaDecoderLaunches launches = new(element);

    public long ElementsAtOnce => 1 << 26;

    public bool Takes(long size, ScalarType elementType, DevicePlace place) =>
        CudaDecoderLaunches.Takes(1, size) && runtime.Device(Math.Max(0, place.Index)) is { } device && device.Prepare(source.Value, $"the kernels of decoders for {element.CudaType}");

    public void Forward(in KernelMatrix input, in KernelMatrix weight, in KernelMatrix output, in KernelMatrix scales, double eps) =>
        Launch(input, launches.RmsNorm(CudaMatrix.Of(input), weight.Address, output.Address, scales.Address, (float)eps));

    public void InputGradient(in KernelMatrix input, in KernelMatrix weight, in KernelMatrix gradOutput, in KernelMatrix inputGradient, in KernelMatrix scales) =>
        Launch(input, launches.RmsNormInputGradient(CudaMatrix.Of(input), weight.Address, gradOutput.Address, inputGradient.Address, scales.Address));

    public void WeightGradient(in KernelMatrix input, in KernelMatrix gradOutput, in KernelMatrix weightGradient, in KernelMatrix scales)
    {
        var x = CudaMatrix.Of(input);
        var split = launches.SplitOfWeightGradient(x, Device(input).Multiprocessors);
        using var parts = CudaScratch.Of(input, split.Slices > 1 ? split.Slices * x.Columns : 0);
        var counters = scratch.Counters(input, split.Slices > 1 ? split.Tiles : 0);
        Launch(input, CudaDecoderLaunches.RmsNormWeightGradient(x, gradOutput.Address, scales.Address, weightGradient.Address, split, CudaScratch.Address(parts), counters));
    }

    public void Forward(in KernelMatrix heads, in KernelMatrix output, in KernelMatrix cos, in KernelMatrix sin, int size, int repeat) =>
        Launch(heads, launches.Rotary(CudaMatrix.Of(heads), output.Address, CudaMatrix.Of(cos), sin.Address, size, repeat));

    public void Backward(in KernelMatrix gradOutput, in KernelMatrix gradient, in KernelMatrix cos, in KernelMatrix sin, int size, int repeat) =>
        Launch(gradOutput, launches.RotaryBackward(gradOutput.Address, CudaMatrix.Of(gradient), CudaMatrix.Of(cos), sin.Address, size, repeat));

    public void Forward(in KernelMatrix gate, in KernelMatrix up, in KernelMatrix output) => Launch(gate, launches.Gate(gate.Address, up.Address, output.Address, gate.Rows * gate.Columns));

    public void Backward(in KernelMatrix gate, in KernelMatrix up, in KernelMatrix gradOutput, in KernelMatrix gateGradient, in KernelMatrix upGradient) =>
        Launch(gate, launches.GateBackward(gate.Address, up.Address, gradOutput.Address, gateGradient.Address, upGradient.Address, gate.Rows * gate.Columns));

    public void Run(in KernelMatrix logits, in KernelMatrix targets, in KernelMatrix losses, bool gradient, float scale) =>
        Launch(logits, CudaDecoderLaunches.CrossEntropy(CudaMatrix.Of(logits), CudaMatrix.Of(targets), losses.Address, gradient, scale));

    private void Launch(in KernelMatrix operand, CudaLaunch launch)
    {
        if (!CudaDecoderLaunches.Takes(operand.Rows, operand.Columns)) throw new CudaException($"{launch.Kernel} has no launch for {operand.Rows} rows of {operand.Columns} elements: there may be 2,147,483,647 of 1,073,741,824. Split the batch.");
        Device(operand).Launch(source.Value, launch);
    }

    private CudaDevice Device(in KernelMatrix operand) => runtime.Device(Math.Max(0, operand.Tensor.device_index))!;
}
