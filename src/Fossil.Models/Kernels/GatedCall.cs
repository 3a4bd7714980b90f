using Fossil.Autograd;
using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>y = act(gate) · up in one pass, with SiLU or GELU. Backward: d up = dy act(gate), d gate = dy up act′(gate).</summary>
internal sealed class GatedCall : AdapterCall
{
    private readonly IGate kernel;
    private readonly CallInput gate;
    private readonly CallInput up;

    private GatedCall(IGate kernel, Tensor gate, Tensor up) => (this.kernel, this.gate, this.up) = (kernel, Input(gate), Input(up));

    /// <summary>silu(<paramref name="gate"/>) · <paramref name="up"/>, both (…, n).</summary>
    public static Tensor Run(Tensor gate, Tensor up)
    {
        if (KernelRegistry.Find<IGate>(gate.size(-1), gate, up) is { } kernel) return AdapterFunction.Run(new GatedCall(kernel, gate, up));
        using var activated = nn.functional.silu(gate);
        return activated * up;
    }

    /// <summary>gelu(<paramref name="gate"/>) · <paramref name="up"/>, both (…, n); gelu by its approximation with tanh.</summary>
    public static Tensor RunGelu(Tensor gate, Tensor up)
    {
        if (KernelRegistry.Find<IGeluGate>(gate.size(-1), gate, up) is { } kernel) return AdapterFunction.Run(new GatedCall(kernel, gate, up));
        using var activated = gate.gelu(TorchSharp.Modules.GELU.Approximate.tanh);
        return activated * up;
    }

    public override Tensor Forward()
    {
        var (x, size) = (gate.Value, gate.Value.size(-1));
        var y = empty(x.shape, dtype: x.dtype, device: x.device);
        kernel.Forward(KernelMatrix.Of(x.contiguous(), size), KernelMatrix.Of(up.Value.contiguous(), size), KernelMatrix.Of(y, size));
        Save(gate);
        Save(up);
        return y;
    }

    public override void Backward(Tensor gradOutput)
    {
        var (x, size) = (gate.Value, gate.Value.size(-1));
        var (gradGate, gradUp) = (empty(x.shape, dtype: x.dtype, device: x.device), empty(x.shape, dtype: x.dtype, device: x.device));
        kernel.Backward(KernelMatrix.Of(x.contiguous(), size), KernelMatrix.Of(up.Value.contiguous(), size), KernelMatrix.Of(gradOutput.contiguous(), size), KernelMatrix.Of(gradGate, size), KernelMatrix.Of(gradUp, size));
        if (gate.NeedsGradient) gate.Gradient = gradGate;
        if (up.NeedsGradient) up.Gradient = gradUp;
    }
}
