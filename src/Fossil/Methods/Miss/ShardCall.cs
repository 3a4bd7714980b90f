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

    /// <summary>The only term, where it is one that a kernel for few rows may take both passes of; null otherwise.</summary>
    private ShardTerm? OnlyOfFewRows => Rows is > 0 and <= IFewRowsStep.MostRows && !HasRoundedProducts && Accumulator == ScalarType.Float32 && Terms is [{ Dropout.IsNone: true } only] && only.Rows.Count == Rows ? only : null;

    protected override void AddTerms(Tensor output, Tensor input)
    {
        if (TryAddFewRows(output, input)) return;
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
        if (TryAddGradientsOfFewRows(gradOutput, inputGradient)) return;
        var sumGradients = new Tensor?[sums.Count];
        foreach (var term in Terms)
        {
            var (key, shard, dtype) = (KeyOf(term), shards[term.Layer], GradientDtype(term));
            var (sumGradient, shardGradient) = ShardOperations.ProductGradients(term.Rows.Of(gradOutput), SumOf(term, dtype), ShardOf(term, dtype), inputGradient is not null, shard.NeedsGradient, shard.FindPlace(dtype));
            shard.AddGradient(shardGradient);
            ref var total = ref sumGradients[sums.IndexOf(key)];
            if (sumGradient is not null) total = key.Accumulate(total, sumGradient.to(Accumulator), term);
        }

        if (inputGradient is not null) AddSumGradients(inputGradient, sumGradients!);
    }

    private bool TryAddFewRows(Tensor output, Tensor input)
    {
        if (OnlyOfFewRows is not { } term || KernelRegistry.For<IFewRowsStep>(term.Layer.ShardSize, output) is []) return false;
        var sum = empty(Rows, term.Layer.ShardSize, dtype: ScalarType.Float32, device: input.device);
        if (!KernelRegistry.TryRun<IFewRowsStep>(term.Layer.ShardSize, [output, input, ShardOf(term, ProductDtype), sum], static (kernel, m) => kernel.TryForward(m[0], m[1], m[2], m[3]))) return false;
        sums.Add(KeyOf(term), SaveOwned(sum));
        foreach (var shard in shards.Values) Save(shard);
        return true;
    }

    private bool TryAddGradientsOfFewRows(Tensor gradOutput, Tensor? inputGradient)
    {
        if (inputGradient is null || OnlyOfFewRows is not { } term || !shards[term.Layer].NeedsGradient || KernelRegistry.For<IFewRowsStep>(term.Layer.ShardSize, gradOutput) is []) return false;
        var shard = ShardOf(term, ProductDtype);
        var shardGradient = shards[term.Layer].FindPlace(shard.dtype) ?? empty_like(shard);
        if (!KernelRegistry.TryRun<IFewRowsStep>(term.Layer.ShardSize, [gradOutput, shard, SumOf(term, ProductDtype), inputGradient, shardGradient], static (kernel, m) => kernel.TryBackward(m[0], m[1], m[2], m[3], m[4]))) return false;
        shards[term.Layer].AddGradient(shardGradient);
        return true;
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
