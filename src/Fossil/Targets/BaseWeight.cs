using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>The 2-D weight (out, in) and the bias of a target, read anew each time: <c>.to</c> replaces both.</summary>
internal static class BaseWeight
{
    /// <summary>The weight of <paramref name="module"/>, as parameter or buffer; null where it has none.</summary>
    public static Tensor? Find(nn.Module module) =>
        module is Linear linear ? linear.weight : (Tensor?)module.get_parameter("weight") ?? module.get_buffer("weight");

    /// <summary>The bias (out) of <paramref name="module"/>, if any.</summary>
    public static Tensor? FindBias(nn.Module module) =>
        module is Linear linear ? linear.bias : (Tensor?)module.get_parameter("bias") ?? module.get_buffer("bias");
}
