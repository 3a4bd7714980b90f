using Fossil.Adapters;
using static TorchSharp.torch;

namespace Fossil.Methods;

/// <summary>What the adapters of a call start from: a frozen linear layer, whose product is then part of the call's own function, or an output that is there already.</summary>
internal readonly struct BaseOutput : IDisposable
{
    private readonly bool owns;

    private BaseOutput(LinearWeight? weight, Tensor? bias, Tensor? given, bool owns)
    {
        (Weight, Bias, Given) = (weight, bias, given);
        this.owns = owns;
    }

    /// <summary>The frozen weight; null where the output is given.</summary>
    public LinearWeight? Weight { get; }

    /// <summary>The bias (out) that goes with the weight, if any.</summary>
    public Tensor? Bias { get; }

    /// <summary>The output (…, out) that is there; null where the call computes it.</summary>
    public Tensor? Given { get; }

    /// <summary>What the layers of <paramref name="pass"/> start from. Of a layer that is no frozen linear one this is its own forward pass, so random numbers of the call are drawn before.</summary>
    public static BaseOutput Of(TargetPass pass) =>
        pass.Before is null && pass.Target.Base.Frozen is { } weight ? new(weight, pass.Target.Base.Bias, null, owns: false) : new(null, null, pass.WithoutLayers(), owns: true);

    /// <summary>An output that is there already.</summary>
    public static BaseOutput Of(Tensor output) => new(null, null, output, owns: false);

    /// <summary>Disposes the output where it was made for the call.</summary>
    public void Dispose()
    {
        if (owns) Given!.Dispose();
    }
}
