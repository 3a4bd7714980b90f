namespace Fossil;

/// <summary>
/// Marks a TorchSharp module class whose projections can be adapted. The generator emits the adapter code of the class, rewires
/// each call of the named targets and emits kernels for the shard size; the analyzers check shapes and uses.
/// </summary>
/// <remarks>
/// The class must be <c>partial</c>. A target is a field or property whose value is a <c>Module&lt;Tensor, Tensor&gt;</c> with a 2-D weight
/// (out, in), such as <c>Linear</c>, or an array, list or dictionary of them (<c>ModuleList</c>, <c>ModuleDict</c>); LoRA adapts an embedding too. What stands here are the defaults that
/// <c>AttachAdapters</c> uses; a configuration at run time may choose others among the named targets.
/// Several attributes on one class give different targets different settings.
/// </remarks>
/// <param name="targets">Names of the fields or properties to adapt, e.g. <c>"q_proj", "v_proj"</c>.</param>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true, Inherited = false)]
public sealed class FossilAdaptAttribute(params string[] targets) : Attribute
{
    /// <summary>The shard size that is used where none is given.</summary>
    public const int DefaultShardSize = AdaptSettings.DefaultShardSize;

    /// <summary>Names of the fields or properties to adapt.</summary>
    public IReadOnlyList<string> Targets { get; } = targets;

    /// <summary>Shard size r (PEFT: <c>r</c>). The input width must be a multiple of it.</summary>
    public int ShardSize { get; set; } = DefaultShardSize;

    /// <summary>Which form of shard sharing.</summary>
    public FossilVariant Variant { get; set; } = AdaptSettings.Variant.Default;

    /// <summary>Width m of the shard in <see cref="FossilVariant.Mini"/> (PEFT: <c>mini_r</c>); 1 as in PEFT where it is not set. No other variant uses it.</summary>
    public int MiniSize { get; set; } = AdaptSettings.DefaultMiniSize;

    /// <summary>Probability that an element of the input is zeroed before the shard sum while training (PEFT: <c>miss_dropout</c>). Not in <see cref="FossilVariant.Bat"/>.</summary>
    public double Dropout { get; set; } = AdaptSettings.Dropout.Default;

    /// <summary>Opts in to input widths that the shard size does not divide: x is taken as zero-padded on the right. Not in <see cref="FossilVariant.Bat"/>.</summary>
    public bool AllowPadding { get; set; } = AdaptSettings.AllowPadding.Default;

    /// <summary>
    /// Adapts these targets only where a configuration's <c>TargetModules</c> chooses them, not where it is null or by <c>AttachAdapters()</c>: for an output layer or an embedding.
    /// The settings are then the configuration's.
    /// </summary>
    public bool OnRequest { get; set; } = AdaptSettings.OnRequest.Default;
}
