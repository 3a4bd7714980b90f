using Fossil.Adapters;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>LoRA, rank-stabilised LoRA, DoRA and PiSSA (<c>peft_type</c> "LORA").</summary>
internal sealed class LoraMethod : AdapterMethod
{
    public static readonly LoraMethod Instance = new();

    public override string PeftType => LoraConfig.PeftTypeName;

    internal override bool AdaptsEmbeddings => true;

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

    public override Tensor Forward(AdaptedTarget target, Tensor input, IReadOnlyList<AdapterLayer> layers)
    {
        if (target.IsEmbedding) return base.Forward(target, input, layers);

        // DoRA scales the base's output, so it comes while that is still by itself; the others add to what there is.
        var first = layers.OfType<DoraLayer>().FirstOrDefault();
        if (first is null) return LoraCall.Run(TargetPass.Of(target, input, layers));
        var output = DoraCall.Run(target, input, first);
        if (layers.Count == 1) return output;
        using (output) return AddTo(output, target, input, [.. layers.Where(layer => layer != first)]);
    }

    public override Tensor AddTo(Tensor output, AdaptedTarget target, Tensor input, IReadOnlyList<AdapterLayer> layers)
    {
        if (target.IsEmbedding) return LoraEmbeddingLayer.AddTo(output, input, layers.Cast<LoraLayer>());
        AdapterLayer[] plain = [.. layers.Where(layer => layer is not DoraLayer)];
        var result = plain.Length > 0 ? LoraCall.Run(TargetPass.Of(target, input, plain, output)) : output;
        foreach (var layer in layers.OfType<DoraLayer>())
        {
            var previous = result;
            result = DoraCall.AddTo(previous, target, input, layer);
            if (!ReferenceEquals(previous, output)) previous.Dispose();
        }
        return result;
    }

    public override Tensor ForwardRows(AdaptedTarget target, Tensor input, IReadOnlyList<RowRun> runs) =>
        target.IsEmbedding || runs.Any(run => run.Layer is DoraLayer) ? base.ForwardRows(target, input, runs) : LoraCall.Run(TargetPass.Of(target, input, runs));
}
