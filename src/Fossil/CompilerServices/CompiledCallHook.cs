using Fossil.Adapters;
using static TorchSharp.torch;

namespace Fossil.CompilerServices;

/// <summary>
/// Lets the adapters of a target take effect where compiled code calls it: <c>Sequential</c>, a delegate made from <c>call</c>, any library that uses
/// <c>call</c>, which runs hooks. What comes out is what a rewired call gives, bit for bit.
/// </summary>
internal sealed class CompiledCallHook
{
    // Between the two hooks of a plain linear layer no other module runs, so one place for each thread is enough.
    [ThreadStatic]
    private static (Tensor Empty, Tensor Input)? skipped;

    private readonly AdaptedTarget target;

    private CompiledCallHook(AdaptedTarget target) => this.target = target;

    /// <summary>Registers the hook on the module of <paramref name="target"/>.</summary>
    public static void Register(AdaptedTarget target)
    {
        var hook = new CompiledCallHook(target);
        ModuleHooks.AddOwn(target.Module, hook.Before, hook.After);
    }

    /// <summary>Takes it off again.</summary>
    public static void Remove(AdaptedTarget target) => ModuleHooks.RemoveOwn(target.Module);

    /// <summary>
    /// The adapted pass computes the base product itself. A plain linear layer need not do it before: it gets an input without rows.
    /// Other layers may not take one, and hooks of the user must see the real input; there the layer's own output is computed and dropped.
    /// </summary>
    private Tensor Before(nn.Module<Tensor, Tensor> module, Tensor input)
    {
        if (target.RunsBaseAlone || !target.Base.IsPlain || ModuleHooks.HasOthers(module)) return input;
        var weight = target.Base.Weight;
        var withoutRows = empty([0, weight.InFeatures], dtype: weight.Dtype, device: weight.Device);
        skipped = (withoutRows, input);
        return withoutRows;
    }

    private Tensor After(nn.Module<Tensor, Tensor> module, Tensor input, Tensor output)
    {
        if (target.RunsBaseAlone) return output;
        // The caller gets another tensor and would never dispose this one.
        if (!ReferenceEquals(output, input)) output.Dispose();
        if (skipped is not { } call || !ReferenceEquals(call.Empty, input)) return target.Forward(input);

        skipped = null;
        call.Empty.Dispose();
        return target.Forward(call.Input);
    }
}
