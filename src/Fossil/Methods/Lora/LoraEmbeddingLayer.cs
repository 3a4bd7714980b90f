using Fossil.Adapters;
using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>
/// LoRA on an embedding (PEFT: <c>Embedding</c> in <c>tuners/lora/layer.py</c>): of the transposed weight (width, entries) it is LoRA, with A (r, entries) and B (width, r); row i of the output gains
/// s·B A[:, id]. There is no dropout: an id cannot be dropped.
/// </summary>
internal sealed class LoraEmbeddingLayer(AdaptedTarget target, string adapterName, LoraConfig config) : LoraLayer(target, adapterName, config)
{
    /// <summary>A (r, entries).</summary>
    public static readonly AdapterParameterName EmbeddingA = new("lora_embedding_A", "lora_embedding_A");

    /// <summary>B (width, r).</summary>
    public static readonly AdapterParameterName EmbeddingB = new("lora_embedding_B", "lora_embedding_B");

    private static readonly AdapterParameterName[] EmbeddingFactors = [EmbeddingA, EmbeddingB];

    public override IReadOnlyList<AdapterParameterName> ParameterNames => EmbeddingFactors;

    protected override AdapterParameterName NameOfA => EmbeddingA;

    protected override AdapterParameterName NameOfB => EmbeddingB;

    /// <summary><paramref name="output"/> (…, width) plus what <paramref name="layers"/> add to the rows that <paramref name="pass"/> looks up.</summary>
    public static Tensor AddTo(Tensor output, TargetPass pass, IEnumerable<LoraLayer> layers)
    {
        using var scope = NewDisposeScope();
        var flat = pass.Input.flatten();
        var sum = output.reshape(-1, output.size(-1));
        foreach (var layer in layers)
        {
            var dtype = pass.Target.Base.HasBf16Products && layer.A.dtype != ScalarType.Float64 ? ScalarType.BFloat16 : layer.A.dtype;
            sum = sum.add(layer.A.t().index_select(0, flat).to(dtype).mm(layer.B.t().to(dtype)).to(layer.A.dtype).mul(Scalars.Of(layer.Scale)), Scalars.One);
        }

        return sum.to(output.dtype).reshape(output.shape).MoveToOuterDisposeScope();
    }

    public override void MergeInto(Tensor weight, AdapterValues values) => AddTransposed(weight, values, Scale);

    public override void UnmergeFrom(Tensor weight, AdapterValues values) => AddTransposed(weight, values, -Scale);

    protected override (Tensor A, Tensor B) Initial(Device device)
    {
        var a = Config.InitLoraWeights == LoraInitialization.Random ? randn(Rank, Target.InFeatures, device: device) : zeros(Rank, Target.InFeatures, device: device);
        return (a, randn(Target.OutFeatures, Rank, device: device));
    }

    private static void AddTransposed(Tensor weight, AdapterValues values, double scale)
    {
        using var transposed = weight.t();
        AddProduct(transposed, values[EmbeddingA.Kind], values[EmbeddingB.Kind], scale);
    }
}
