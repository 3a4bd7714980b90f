using System.Reflection;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Fossil.Autograd;

/// <summary>
/// TorchSharp keeps a tensor of the output's size for each custom function until its node dies, in case it must make zeros of that shape. It never does here
/// (<c>set_materialize_grads(false)</c>), so it is released: half of the memory that an adapted layer would keep.
/// </summary>
internal static class OutputCache
{
    private static readonly FieldInfo? NodeField = typeof(AutogradContext).GetField("_node", BindingFlags.NonPublic | BindingFlags.Instance);
    private static FieldInfo? cacheField;

    /// <summary>Releases the cached tensors. In a TorchSharp version that has no such fields it does nothing.</summary>
    public static void Drop(AutogradContext context)
    {
        if (NodeField?.GetValue(context) is not { } node) return;
        cacheField ??= node.GetType().GetField("_outputCache", BindingFlags.NonPublic | BindingFlags.Instance);
        if (cacheField?.GetValue(node) is not List<Tensor> cache) return;
        foreach (var tensor in cache) tensor?.Dispose();
        cache.Clear();
    }
}
