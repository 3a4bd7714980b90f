using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>Why what an attribute names has no adapter.</summary>
internal enum UnusableReason
{
    /// <summary>The member holds nothing, or a module that has nothing to train: Identity, Dropout, an activation.</summary>
    HoldsNothing,

    /// <summary>The module is no linear map with a 2-D weight: a convolution, an embedding.</summary>
    NotLinear,

    /// <summary>It is not registered, and its weight is that of another module, which is: a tied output layer.</summary>
    Tied,

    /// <summary>It is not registered, so that its weight is neither moved nor saved.</summary>
    NotRegistered,
}

/// <summary>A member, or an element of one, that an attribute names and that cannot be adapted as it is. It stands in nobody's way until it is chosen.</summary>
/// <param name="Owner">The name of the annotated class.</param>
/// <param name="Member">The member, with an index or key for elements.</param>
/// <param name="Path">The path in the model; where it is not registered, the one that it would have.</param>
/// <param name="Module">The module; null where the member holds none.</param>
/// <param name="Reason">Why.</param>
internal sealed record UnusableTarget(string Owner, string Member, string Path, nn.Module? Module, UnusableReason Reason)
{
    /// <summary>What is wrong, as a clause: <c>Block.proj_in (Conv2d) has no 2-D weight (out, in)</c>.</summary>
    public string Problem => $"{Owner}.{Member} {Explanation}";

    /// <summary>What to do, where adapting it was meant.</summary>
    public string Advice => Reason switch
    {
        UnusableReason.NotRegistered => "Call RegisterComponents() at the end of the constructor, after it is assigned, or call register_module.",
        UnusableReason.Tied => "Adapt the module that holds the weight, or give this one a weight of its own and register it, or tie it as a TiedLinear.",
        _ => "Leave it out of target_modules (exclude_modules), or remove it from [FossilAdapt].",
    };

    private string Explanation => Reason switch
    {
        UnusableReason.HoldsNothing when Module is null => "is null",
        UnusableReason.HoldsNothing => $"holds a {Module.GetType().Name}, which has no weight",
        UnusableReason.NotLinear => $"holds a {Module!.GetType().Name}, which is no linear map with a 2-D weight (out, in)",
        UnusableReason.Tied => $"is annotated but not registered as a submodule of {Owner}: it shares its weight with another module",
        _ => $"is annotated but not registered as a submodule of {Owner}, so it would be neither moved nor saved",
    };
}
