using Fossil.Adapters;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>LoRA, rank-stabilised LoRA, DoRA and PiSSA (<c>peft_type</c> "LORA").</summary>
internal sealed class LoraMethod : AdapterMethod
{
    public static readonly LoraMethod Instance = new();

    public override string PeftType => LoraConfig.PeftTypeName;

    internal override string Name => "LoRA";

    internal override IReadOnlyList<string> CardTags => ["lora"];

    internal override AdapterAbilities Abilities =>
        AdapterAbilities.Merging | AdapterAbilities.SeveralActive | AdapterAbilities.MixedBatches | AdapterAbilities.LowRankConversion | AdapterAbilities.Embeddings;

    internal override IReadOnlyList<AdapterParameterName> ParameterNames { get; } =
        [LoraLayer.FactorA, LoraLayer.FactorB, DoraLayer.MagnitudeVector, LoraEmbeddingLayer.EmbeddingA, LoraEmbeddingLayer.EmbeddingB];

    internal override AdapterConfig ReadConfig(AdapterConfigReader reader) => new LoraConfig(reader);

    public override bool Accepts(AdapterConfig config) => config is LoraConfig;

    public override AdapterLayer CreateLayer(AdaptedTarget target, string adapterName, AdapterConfig config)
    {
        var lora = (LoraConfig)config;
        if (target.IsEmbedding)
        {
            return lora.UseDora
                ? throw new NotAdaptableException($"'{target.Path}' is an embedding, for which there is no DoRA here. Leave it out of target_modules, or set UseDora to false.")
                : new LoraEmbeddingLayer(target, adapterName, lora);
        }

        return lora.UseDora ? new DoraLayer(target, adapterName, lora) : new LoraLayer(target, adapterName, lora);
    }

    internal override Tensor Apply(TargetPass pass)
    {
        var first = pass.Layers.Select(entry => entry.Layer).OfType<DoraLayer>().FirstOrDefault();
        if (first is null && pass.Before is null && !pass.Target.IsEmbedding) return LoraCall.Run(pass);

        // DoRA scales the base's output, so it comes while that is still by itself; the others add to what there is.
        var scalesBase = first is not null && pass.Before is null;
        var output = scalesBase ? DoraCall.Run(pass.Target, pass.Input, first!) : pass.WithoutLayers();
        if (scalesBase && pass.Layers.Count == 1) return output;
        using (output) return AddTo(output, pass.On(output, layer => !scalesBase || layer != first));
    }

    internal override Tensor[]? ApplyShared(IReadOnlyList<TargetPass> passes) =>
        passes.SelectMany(pass => pass.Layers).Any(entry => entry.Layer is DoraLayer) ? null : LoraCall.RunShared(passes);

    private static Tensor AddTo(Tensor output, TargetPass pass)
    {
        var layers = pass.Layers.Select(entry => (LoraLayer)entry.Layer).ToArray();
        if (pass.Target.IsEmbedding) return LoraEmbeddingLayer.AddTo(output, pass, layers);
        var result = layers.Any(layer => layer is not DoraLayer) ? LoraCall.Run(pass.On(output, layer => layer is not DoraLayer)) : output;
        foreach (var layer in layers.OfType<DoraLayer>())
        {
            var previous = result;
            result = DoraCall.AddTo(previous, pass.Target, pass.Input, layer);
            if (!ReferenceEquals(previous, output)) previous.Dispose();
        }
        return result;
    }

    public override Tensor ForwardRows(AdaptedTarget target, Tensor input, IReadOnlyList<RowRun> runs) =>
        target.IsEmbedding || runs.Any(run => run.Layer is DoraLayer) ? base.ForwardRows(target, input, runs) : LoraCall.Run(TargetPass.Of(target, input, runs));

    internal override string? PeftWarning(string adapterName, AdapterConfig config) => ((LoraConfig)config).InitLoraWeights is { Iterations: not null, Name: var name }
        ? $"'{adapterName}' starts from a randomised decomposition ({name}). Its folders and checkpoints load here as they are, but PEFT decomposes the weights again, to another start, and computes something else. For PEFT, write it with SavePissaAsLora, of this model or of one that LoadPretrained gave the folder to."
        : null;

    internal override IEnumerable<(string Name, Action<Stream> Write)> Files(IReadOnlyList<AdapterLayer> layers) => PissaStart.Files(layers);

    internal override IReadOnlyList<string> FileNames => [PissaStart.FileName];

    internal override AdapterStart? OpenStart(string folder, AdapterConfig config) => PissaStart.Open(folder, (LoraConfig)config);
}
