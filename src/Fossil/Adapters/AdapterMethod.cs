using Fossil.CompilerServices;
using Fossil.Serialization;
using Fossil.Targets;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>
/// A PEFT method: FOSSIL, LoRA, … One folder under Methods holds one of these with its configuration, layers and functions, and one line in
/// <see cref="AdapterMethods"/> makes it known. Nothing else names a method: what the library must know of it is declared here.
/// </summary>
public abstract class AdapterMethod
{
    /// <summary>PEFT's name of the method (<c>peft_type</c>), e.g. <c>MISS</c>.</summary>
    public abstract string PeftType { get; }

    /// <summary>What the method is called in messages.</summary>
    internal virtual string Name => PeftType;

    /// <summary>The values of <c>peft_type</c> that a file may have: <see cref="PeftType"/>, and what earlier versions of PEFT wrote.</summary>
    internal virtual IReadOnlyList<string> PeftTypes => [PeftType];

    /// <summary>What it can do.</summary>
    internal abstract AdapterAbilities Abilities { get; }

    /// <summary>Every kind of parameter that a layer of it can have.</summary>
    internal abstract IReadOnlyList<AdapterParameterName> ParameterNames { get; }

    /// <summary>The names, in a file and after <c>base_model.</c>, of the tensors that all layers of an adapter share.</summary>
    internal virtual IReadOnlyList<string> SharedNames => [];

    /// <summary>The value of a parameter that changes nothing: what a layer counts as, in a weighted sum, where an adapter has none.</summary>
    internal virtual double Neutral => 0;

    /// <summary>The tags that its adapters' cards on the hub have (PEFT: <c>create_or_update_model_card</c>).</summary>
    internal virtual IReadOnlyList<string> CardTags => [];

    /// <summary>Whether under autocast PEFT returns the output in the input's dtype, and not in that of the linear layer's product.</summary>
    internal virtual bool ReturnsInputDtype => false;

    /// <summary>The configuration whose settings the attributes on the classes have; null where they describe another method.</summary>
    internal virtual AdapterConfig? OfAttributes => null;

    /// <summary>Reads the configuration of an adapter of this method.</summary>
    /// <exception cref="ConfigurationException">A field has a value that cannot be used.</exception>
    internal abstract AdapterConfig ReadConfig(AdapterConfigReader reader);

    /// <summary>Whether <paramref name="config"/> is of this method.</summary>
    public abstract bool Accepts(AdapterConfig config);

    /// <summary>The configuration for a target for which only its attribute says something.</summary>
    /// <param name="config">The adapter's configuration.</param>
    /// <param name="defaults">The attribute's settings.</param>
    public virtual AdapterConfig FromDefaults(AdapterConfig config, AdapterDefaults defaults) => config;

    /// <summary>The attribute's name of a field of the configuration.</summary>
    internal virtual string AttributeName(string field) => field;

    /// <summary>The configuration with what depends on the model, before the layers are made.</summary>
    /// <param name="config">The configuration, with its targets as names.</param>
    /// <param name="targets">The chosen targets.</param>
    /// <param name="modules">The model's modules.</param>
    /// <exception cref="ConfigurationException">It does not fit them.</exception>
    internal virtual AdapterConfig Resolve(AdapterConfig config, IReadOnlyList<AdaptedTarget> targets, IReadOnlyList<NamedModule> modules) => config;

    /// <summary>Makes ready what the layers of an adapter share, before their parameters are created; null where they share nothing.</summary>
    /// <param name="adapter">The adapter, with its layers.</param>
    /// <param name="others">The model's other adapters of this method.</param>
    /// <param name="model">The model.</param>
    /// <param name="file">The tensors that it is read from; null where it starts anew.</param>
    /// <exception cref="AdapterCombinationException">The adapter cannot share with the others.</exception>
    /// <exception cref="AdapterFileException">The file does not have what is shared, or another one.</exception>
    internal virtual SharedTensors? Share(AttachedAdapter adapter, IReadOnlyList<AttachedAdapter> others, nn.Module model, AdapterFile? file) => null;

    /// <summary>Makes the layer of an adapter on a target. It must check all sizes; it creates no parameter yet.</summary>
    /// <exception cref="ShardSizeException">The settings do not fit the target's shape.</exception>
    public abstract AdapterLayer CreateLayer(AdaptedTarget target, string adapterName, AdapterConfig config);

    /// <summary>The configuration of an adapter whose parameters are a weighted sum of others'.</summary>
    /// <param name="configs">The configurations of the others, which are of this method.</param>
    /// <exception cref="AdapterCombinationException">Their changes of the weight do not add up when their parameters do.</exception>
    public virtual AdapterConfig CombinedConfig(IReadOnlyList<AdapterConfig> configs) =>
        throw new AdapterCombinationException($"Adapters of the method {PeftType} do not add up when their parameters do.");

    /// <summary>The output of a target with layers of this method: what it does to the input, to the output without them, or to the base's product, which can be part of its own.</summary>
    /// <param name="pass">The target, its input, and at least one layer.</param>
    /// <returns>(…, out), in the input's dtype.</returns>
    internal abstract Tensor Apply(TargetPass pass);

    /// <summary>
    /// The outputs of several targets that read the same x, as one call: what they share is made once, and their parts of dx add up in place. Bit for bit the outputs of <see cref="Apply"/>, and the
    /// same gradients of parameters; dx is rounded less often. Null where each is to run by itself, which a method that says nothing always does.
    /// </summary>
    /// <param name="passes">The passes, in the order of their calls: each on a frozen linear layer, with nothing before it.</param>
    internal virtual Tensor[]? ApplyShared(IReadOnlyList<TargetPass> passes) => null;

    /// <summary>The output of the target with its base and <paramref name="layers"/>, which are all of this method.</summary>
    /// <param name="target">The target.</param>
    /// <param name="input">(…, in), in the base weight's dtype; in bfloat16 where the model has <see cref="AdaptedModel.Bf16Products"/>.</param>
    /// <param name="layers">The layers to apply, in order; at least one.</param>
    /// <returns>(…, out), in the input's dtype.</returns>
    public Tensor Forward(AdaptedTarget target, Tensor input, IReadOnlyList<AdapterLayer> layers) => Apply(TargetPass.Of(target, input, layers));

    /// <summary>
    /// A batch of which each row uses its own adapter. Here each run of rows with the same adapter passes through by itself;
    /// a method that can share work between the rows overrides it.
    /// </summary>
    /// <param name="target">The target.</param>
    /// <param name="input">(batch, …, in).</param>
    /// <param name="runs">The runs, which cover the batch from the first row to the last.</param>
    public virtual Tensor ForwardRows(AdaptedTarget target, Tensor input, IReadOnlyList<RowRun> runs) => RowRun.ForwardEach(target, input, runs);

    /// <summary>What PEFT makes of the files of such an adapter, where that is another adapter than here; null where it is the same.</summary>
    internal virtual string? PeftWarning(string adapterName, AdapterConfig config) => null;

    /// <summary>The files that go with the configuration and the tensors in the folder of an adapter.</summary>
    internal virtual IEnumerable<(string Name, Action<Stream> Write)> Files(IReadOnlyList<AdapterLayer> layers) => [];

    /// <summary>The names that <see cref="Files"/> may have.</summary>
    internal virtual IReadOnlyList<string> FileNames => [];

    /// <summary>Opens those of <see cref="Files"/> in a folder that is read; null where there are none.</summary>
    /// <exception cref="SafetensorsException">A file is damaged.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    internal virtual AdapterStart? OpenStart(string folder, AdapterConfig config) => null;

    /// <summary>Refuses what the method cannot do.</summary>
    /// <param name="ability">What is asked for.</param>
    /// <param name="adapterName">Of which adapter.</param>
    /// <param name="operation">What it cannot, as in "which cannot be merged".</param>
    /// <exception cref="AdapterCombinationException">It cannot.</exception>
    internal void Require(AdapterAbilities ability, string adapterName, string operation)
    {
        if (!Abilities.HasFlag(ability)) throw new AdapterCombinationException($"'{adapterName}' is an adapter of the method {PeftType}, which cannot {operation}.");
    }
}
