using System.ComponentModel;
using static TorchSharp.torch;

namespace Fossil.CompilerServices;

/// <summary>The settings that the attribute gives to a target.</summary>
/// <param name="ShardSize">Shard size r.</param>
/// <param name="Variant">The form of shard sharing.</param>
/// <param name="MiniSize">Width m of a Mini shard.</param>
/// <param name="Dropout">Dropout probability on the input.</param>
/// <param name="AllowPadding">Whether an input width that r does not divide is taken as padded.</param>
[EditorBrowsable(EditorBrowsableState.Never)]
public sealed record AdapterDefaults(
    int ShardSize = FossilAdaptAttribute.DefaultShardSize,
    FossilVariant Variant = FossilVariant.Balance,
    int MiniSize = AdaptSettings.DefaultMiniSize,
    double Dropout = 0,
    bool AllowPadding = false)
{
    /// <summary>Whether only a configuration that names the target adapts it.</summary>
    public bool OnRequest { get; init; }
}

/// <summary>One adaptable projection of an annotated module.</summary>
/// <param name="Member">The field or property that holds it, with an index for elements: <c>q_proj</c>, <c>experts.3</c>.</param>
/// <param name="Module">The projection; null where the member holds none.</param>
/// <param name="Defaults">The settings of the attribute.</param>
[EditorBrowsable(EditorBrowsableState.Never)]
public sealed record AdapterTarget(string Member, nn.Module<Tensor, Tensor>? Module, AdapterDefaults Defaults);
