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
    // Names that the trimmer can read, so that it keeps the fields.
    private static readonly FieldInfo? NodeField = typeof(AutogradContext).GetField("_node", BindingFlags.NonPublic | BindingFlags.Instance);
    private static readonly FieldInfo? OpenCacheField =
        Type.GetType("TorchSharp.torch+autograd+Node`1, TorchSharp")?.GetField("_outputCache", BindingFlags.NonPublic | BindingFlags.Instance);

    private static FieldInfo? lastCacheField;

    /// <summary>Releases the cached tensors. In a TorchSharp version that has no such fields it does nothing.</summary>
    public static void Drop(AutogradContext context)
    {
        if (Of(context) is not { } cache) return;
        foreach (var tensor in cache) tensor?.Dispose();
        cache.Clear();
    }

    /// <summary>The list of cached tensors, one for each output; null in a TorchSharp version that has none.</summary>
    internal static List<Tensor>? Of(AutogradContext context)
    {
        if (OpenCacheField is null || NodeField?.GetValue(context) is not { } node) return null;
        var type = node.GetType();
        if (!type.IsGenericType || type.GetGenericTypeDefinition() != OpenCacheField.DeclaringType) return null;
        var field = lastCacheField;
        if (field?.DeclaringType != type) lastCacheField = field = (FieldInfo)type.GetMemberWithSameMetadataDefinitionAs(OpenCacheField);
        return field.GetValue(node) as List<Tensor>;
    }
}
