using Fossil.Adapters;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Miss;

/// <summary>FOSSIL: shard sharing (PEFT: MiSS, <c>peft_type</c> "MISS").</summary>
internal sealed class FossilMethod : AdapterMethod
{
    /// <summary>The shard D.</summary>
    public static readonly AdapterParameterName MissBlock = new("miss_block", "miss_block") { EarlierFileSuffix = "bone_block" };

    public static readonly FossilMethod Instance = new();

    public override string PeftType => FossilConfig.PeftTypeName;

    internal override IReadOnlyList<string> PeftTypes { get; } = [FossilConfig.PeftTypeName, "BONE"];

    internal override AdapterAbilities Abilities => AdapterAbilities.Merging | AdapterAbilities.SeveralActive | AdapterAbilities.MixedBatches | AdapterAbilities.LowRankConversion;

    internal override IReadOnlyList<AdapterParameterName> ParameterNames { get; } = [MissBlock];

    internal override bool ReturnsInputDtype => true;

    internal override AdapterConfig OfAttributes { get; } = new FossilConfig();

    internal override AdapterConfig ReadConfig(AdapterConfigReader reader) => new FossilConfig(reader);

    public override bool Accepts(AdapterConfig config) => config is FossilConfig;

    public override AdapterConfig FromDefaults(AdapterConfig config, CompilerServices.AdapterDefaults defaults) => ((FossilConfig)config).With(defaults);

    internal override string AttributeName(string field) => AdaptSettings.Table.Settings.FirstOrDefault(setting => setting.Field == field)?.Name ?? field;

    public override AdapterLayer CreateLayer(AdaptedTarget target, string adapterName, AdapterConfig config)
    {
        var fossil = (FossilConfig)config;
        return fossil.Variant == FossilVariant.Bat ? new BatLayer(target, adapterName, fossil) : new ShardLayer(target, adapterName, fossil);
    }

    public override AdapterConfig CombinedConfig(IReadOnlyList<AdapterConfig> configs)
    {
        var first = (FossilConfig)configs[0];
        if (first.Variant == FossilVariant.Bat) throw new AdapterCombinationException("Bat adapters act on the weight one after the other, so no single one does what a weighted sum of them would.");
        foreach (var config in configs.Cast<FossilConfig>())
        {
            if (config.Variant != first.Variant || config.ShardSize != first.ShardSize || (config.Variant == FossilVariant.Mini && config.MiniSize != first.MiniSize))
            {
                throw new AdapterCombinationException(
                    $"Only shards of one shape add up: {first.Variant} with shard size {first.ShardSize} (mini_r {first.MiniSize}) and {config.Variant} with {config.ShardSize} (mini_r {config.MiniSize}) do not.");
            }
        }
        return first;
    }

    internal override Tensor Apply(TargetPass pass)
    {
        AdapterLayer[] layers = [.. pass.Layers.Select(entry => entry.Layer)];
        var chained = layers.OfType<BatLayer>().ToArray();
        if (chained.Length == 0 && pass.Before is null) return ShardInference.TryRun(pass.Target, pass.Input, layers) ?? ShardCall.Run(pass);

        // Bat acts on the weight, so nothing acts before it.
        var output = chained.Length > 0 ? BatCall.Run(pass.Target, pass.Input, chained) : pass.WithoutLayers();
        if (chained.Length == layers.Length) return output;
        using (output) return ShardCall.Run(pass.On(output, layer => layer is ShardLayer));
    }

    /// <summary>Balance and Mini share the sum over x. Not where a device makes a target's pass in one launch.</summary>
    internal override Tensor[]? ApplyShared(IReadOnlyList<TargetPass> passes)
    {
        var layers = passes.SelectMany(pass => pass.Layers).Select(entry => entry.Layer);
        return layers.All(layer => layer is ShardLayer shard && KernelRegistry.For<IShardStep>(shard.ShardSize, passes[0].Input) is []) ? ShardCall.RunShared(passes) : null;
    }

    /// <summary>One shard sum serves all rows, whichever adapter each uses.</summary>
    public override Tensor ForwardRows(AdaptedTarget target, Tensor input, IReadOnlyList<RowRun> runs) =>
        runs.Any(run => run.Layer is BatLayer) ? base.ForwardRows(target, input, runs) : ShardCall.Run(TargetPass.Of(target, input, runs));

    /// <summary>The values that a shard starts with: zeros, or Kaiming uniform as PEFT where the configuration says so.</summary>
    public static Tensor InitialShard(long[] shape, FossilConfig config, Device device)
    {
        var shard = zeros(shape, dtype: ScalarType.Float32, device: device);
        return config.InitWeights ? shard : nn.init.kaiming_uniform_(shard, a: Math.Sqrt(5));
    }
}
