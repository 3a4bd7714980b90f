using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Miss;

/// <summary>
/// One forward pass of a target with its Balance, padded and Mini adapters (arXiv 2409.15371, equations 5 and 6): y = u + S D. Only the shard sums are kept for the
/// backward pass: dD = Sᵀ dy, dS = dy Dᵀ, dx = dy W + tile(dS).
/// </summary>
internal sealed class ShardCall : AdditiveCall<ShardTerm>
{
    private readonly Dictionary<ShardLayer, CallInput> shards = [];
    private readonly OrderedDictionary<ShardSumKey, CallTensor> sums = [];

    private ShardCall(TargetPass pass, BaseOutput start, ShardTerm[] terms)
        : base(pass.Target, pass.Input, start, terms)
    {
        foreach (var layer in terms.Select(term => term.Layer).Distinct()) shards.Add(layer, Input(layer.Shard));
    }

    /// <summary>The output of <paramref name="pass"/>.</summary>
    public static Tensor Run(TargetPass pass)
    {
        ShardTerm[] terms = [.. pass.Layers.Select(ShardTerm.Of)];
        using var start = BaseOutput.Of(pass);
        return AdapterFunction.Run(new ShardCall(pass, start, terms));
    }

    protected override bool SetsInputGradient => sums.Count == 1 && sums.GetAt(0).Key is { Dropout.IsNone: true } only && InputShape[^1] % only.ShardSize == 0;

    protected override void AddTerms(Tensor output, Tensor input)
    {
        foreach (var terms in Terms.GroupBy(KeyOf)) sums.Add(terms.Key, SaveOwned(terms.Key.Compute(input).to(terms.All(term => GradientDtype(term) == ProductDtype) ? ProductDtype : Accumulator)));
        foreach (var group in Groups)
        {
            if (!HasRoundedProducts) ShardOperations.AddProducts(group.Key.Of(output), [.. group.Select(term => (SumOf(term, ProductDtype), ShardOf(term, ProductDtype)))]);
            else foreach (var term in group) AddRoundedProduct(group.Key.Of(output), SumOf(term, ProductDtype), ShardOf(term, ProductDtype));
        }

        foreach (var shard in shards.Values) Save(shard);
    }

    protected override void AddGradients(Tensor gradOutput, Tensor? inputGradient)
    {
        var sumGradients = new Tensor?[sums.Count];
        foreach (var term in Terms)
        {
            var (key, shard, dtype) = (KeyOf(term), shards[term.Layer], GradientDtype(term));
            var (sumGradient, shardGradient) = ShardOperations.ProductGradients(term.Rows.Of(gradOutput), SumOf(term, dtype), ShardOf(term, dtype), inputGradient is not null, shard.NeedsGradient);
            shard.AddGradient(shardGradient);
            ref var total = ref sumGradients[sums.IndexOf(key)];
            if (sumGradient is not null) total = key.Accumulate(total, sumGradient.to(Accumulator), term);
        }

        if (inputGradient is not null) AddSumGradients(inputGradient, sumGradients!);
    }

    /// <summary>Adds the tiled gradients of the shard sums; as in PEFT their sum is rounded to the input's dtype before it is added to that of the base.</summary>
    private void AddSumGradients(Tensor inputGradient, Tensor[] sumGradients)
    {
        if (AddsBaseLast && HasBase && SetsInputGradient)
        {
            // What is tiled is rounded already; the base's part is added to it.
            var size = sumGradients[0].shape[1];
            inputGradient.view(Rows, -1, size).copy_(sumGradients[0].to(InputDtype).unsqueeze(1));
            return;
        }

        ShardSumKey[] keys = [.. sums.Keys];
        if (keys is [{ Dropout.IsNone: true } only])
        {
            ShardOperations.AddTiled(inputGradient, sumGradients[0].to(InputDtype).to(sumGradients[0].dtype), only.ShardSize);
            return;
        }

        var total = zeros(inputGradient.shape, dtype: Accumulator, device: inputGradient.device);
        for (var i = 0; i < keys.Length; i++) keys[i].AddTiled(total, sumGradients[i]);
        inputGradient.add_(total.to(InputDtype), Scalars.One);
    }

    private ShardSumKey KeyOf(ShardTerm term) => term.SumKey(Rows);

    /// <summary>Mini's gradients are of narrow products, m of the output's columns: in float32 they need no rounding of dy's sum over the tiles.</summary>
    private ScalarType GradientDtype(ShardTerm term) => term.Layer.IsTiled ? Accumulator : ProductDtype;

    private Tensor SumOf(ShardTerm term, ScalarType dtype) => KeyOf(term).Rows(sums[KeyOf(term)].Value, term).to(dtype);

    private Tensor ShardOf(ShardTerm term, ScalarType dtype) => shards[term.Layer].Value.to(dtype);
}
