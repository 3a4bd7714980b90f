using Fossil.Adapters;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Methods.Vera;

/// <summary>VeRA: vector-based random matrix adaptation (arXiv 2310.11454; <c>peft_type</c> "VERA").</summary>
internal sealed class VeraMethod : AdapterMethod
{
    public static readonly VeraMethod Instance = new();

    public override string PeftType => VeraConfig.PeftTypeName;

    internal override string Name => "VeRA";

    internal override bool ReturnsInputDtype => true;

    internal override AdapterAbilities Abilities => AdapterAbilities.Merging | AdapterAbilities.SeveralActive | AdapterAbilities.MixedBatches | AdapterAbilities.LowRankConversion;

    internal override IReadOnlyList<AdapterParameterName> ParameterNames => VeraLayer.Vectors;

    internal override IReadOnlyList<string> SharedNames => VeraProjection.Names;

    internal override AdapterConfig ReadConfig(AdapterConfigReader reader) => new VeraConfig(reader);

    public override bool Accepts(AdapterConfig config) => config is VeraConfig;

    public override AdapterLayer CreateLayer(AdaptedTarget target, string adapterName, AdapterConfig config) => new VeraLayer(target, adapterName, (VeraConfig)config);

    internal override SharedTensors Share(AttachedAdapter adapter, IReadOnlyList<AttachedAdapter> others, nn.Module model, AdapterFile? file)
    {
        var projection = VeraProjection.For(adapter, others, model, file);
        foreach (var layer in adapter.Layers.Cast<VeraLayer>()) layer.Projection = projection;
        return projection;
    }

    internal override Tensor Apply(TargetPass pass) => VeraCall.Run(pass);

    public override Tensor ForwardRows(AdaptedTarget target, Tensor input, IReadOnlyList<RowRun> runs) => VeraCall.Run(TargetPass.Of(target, input, runs));
}
