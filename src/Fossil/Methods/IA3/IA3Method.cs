using System.Text.RegularExpressions;
using Fossil.Adapters;
using Fossil.Targets;
using static TorchSharp.torch;

namespace Fossil.Methods.IA3;

/// <summary>(IA)³: infused adapter by inhibiting and amplifying inner activations (arXiv 2205.05638; <c>peft_type</c> "IA3").</summary>
internal sealed class IA3Method : AdapterMethod
{
    // PEFT: TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING of the decoders.
    private const string FeedforwardName = "down_proj";

    public static readonly IA3Method Instance = new();

    public override string PeftType => IA3Config.PeftTypeName;

    internal override AdapterAbilities Abilities => AdapterAbilities.Merging | AdapterAbilities.SeveralActive | AdapterAbilities.MixedBatches;

    internal override IReadOnlyList<AdapterParameterName> ParameterNames => IA3Layer.Vector;

    internal override double Neutral => 1;

    internal override AdapterConfig ReadConfig(AdapterConfigReader reader) => new IA3Config(reader);

    public override bool Accepts(AdapterConfig config) => config is IA3Config;

    internal override AdapterConfig Resolve(AdapterConfig config, IReadOnlyList<AdaptedTarget> targets, IReadOnlyList<NamedModule> modules)
    {
        var ia3 = (IA3Config)config;
        if (ia3.FeedforwardModules is null)
        {
            if (!modules.Any(entry => entry.Path.EndsWith(FeedforwardName, StringComparison.Ordinal)))
                throw new ConfigurationException(IA3Config.FeedforwardField, config.Path, $"none are given, and the model has no {FeedforwardName}, by which the feedforward layers of decoders are known. Name those of the targets that are, or give [] for none.");
            ia3 = ia3 with { FeedforwardModules = [FeedforwardName] };
        }

        if (ia3 is not { TargetModules: { Pattern: null } names, FeedforwardModules: { Pattern: null } feedforward } || feedforward.Names.All(names.Names.Contains)) return ia3;

        // PEFT reads only what it finds among the targets' names: both by whole paths.
        string[] paths = [.. targets.Select(target => target.Path)];
        return ia3 with { TargetModules = paths, FeedforwardModules = paths.Where(ia3.IsFeedforward).ToArray() };
    }

    public override AdapterLayer CreateLayer(AdaptedTarget target, string adapterName, AdapterConfig config) => new IA3Layer(target, adapterName, (IA3Config)config);

    /// <summary>The vectors add up, as in PEFT. What is feedforward is said by an expression: the combined adapter's targets are named by whole paths.</summary>
    public override AdapterConfig CombinedConfig(IReadOnlyList<AdapterConfig> configs)
    {
        var expressions = configs.Cast<IA3Config>().Select(config => config.FeedforwardModules!).SelectMany(modules => modules.Pattern is { } pattern ? [pattern] : modules.Names.Select(name => ".*" + Regex.Escape(name))).Distinct().ToArray();
        return (IA3Config)configs[0] with { FeedforwardModules = expressions.Length == 0 ? [] : ModuleSelector.FromPattern(string.Join('|', expressions.Select(expression => $"({expression})"))) };
    }

    internal override Tensor Apply(TargetPass pass)
    {
        using var scope = NewDisposeScope();
        var layers = pass.Layers.Select(entry => (IA3Layer)entry.Layer).ToArray();
        return Scale(pass, Product(layers, feedforward: true), Product(layers, feedforward: false)).MoveToOuterDisposeScope();
    }

    /// <summary>One product of the base serves all rows: each is multiplied by its own adapter's vector, or by one.</summary>
    public override Tensor ForwardRows(AdaptedTarget target, Tensor input, IReadOnlyList<RowRun> runs)
    {
        using var scope = NewDisposeScope();
        return Scale(TargetPass.Of(target, input, runs), OfRows(true, target.InFeatures), OfRows(false, target.OutFeatures)).MoveToOuterDisposeScope();

        Tensor? OfRows(bool feedforward, long width)
        {
            if (!runs.Any(run => run.Layer is IA3Layer layer && layer.IsFeedforward == feedforward)) return null;
            long[] inner = [.. Enumerable.Repeat(1L, (int)input.dim() - 2), width];
            var one = ones(width, device: input.device);
            return cat([.. runs.Select(run => (run.Layer is IA3Layer layer && layer.IsFeedforward == feedforward ? layer.Scale.flatten() : one).expand([run.Count, .. inner]))], 0);
        }
    }

    private static Tensor? Product(IEnumerable<IA3Layer> layers, bool feedforward)
    {
        Tensor? product = null;
        foreach (var layer in layers.Where(layer => layer.IsFeedforward == feedforward)) product = product is null ? layer.Scale.flatten() : product * layer.Scale.flatten();
        return product;
    }

    /// <summary>y = l_out ⊙ (what comes before)(l_in ⊙ x); as in PEFT each product is rounded to the layer's dtype.</summary>
    private static Tensor Scale(TargetPass pass, Tensor? input, Tensor? output)
    {
        var result = Before(pass, input is null ? pass.Input : (pass.Input * input).to(pass.Input.dtype));
        return output is null ? result : (result * output).to(result.dtype);
    }

    /// <summary>Flat where it is a linear layer's own: for more dimensions libtorch's C++ linear adds the bias in a second, separately rounded step.</summary>
    private static Tensor Before(TargetPass pass, Tensor input)
    {
        if (pass.Before is not null || pass.Target.Base.Frozen is null) return (pass with { Input = input }).WithoutLayers();
        return pass.Target.Base.Forward(input.reshape(-1, input.size(-1))).reshape([.. input.shape[..^1], pass.Target.OutFeatures]);
    }
}
