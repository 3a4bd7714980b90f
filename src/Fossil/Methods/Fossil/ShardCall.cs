using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Fossil;

/// <summary>
/// One forward pass of a target with its Balance, padded and Mini adapters (arXiv 2409.15371, equations 5 and 6). Only the shard sums are kept for the
/// backward pass: dD = Sᵀ dy, dS = dy Dᵀ, dx = dy W + tile(dS).
/// </summary>
internal sealed class ShardCall : AdapterCall
{
    private readonly long[] inputShape;
    private readonly ScalarType inputDtype;
    private readonly long inFeatures;
    private readonly long rows;
    private readonly ShardTerm[] terms;
    private readonly ShardLayer[] layers;
    private readonly int[] sumOfTerm;
    private readonly ShardSumKey[] sums;

    // Set for the forward pass only: autograd keeps what the backward pass needs.
    private Tensor? input;
    private Tensor? weight;
    private Tensor? bias;
    private Tensor? baseOutput;
    private Tensor[] shards;

    private ShardCall(Tensor input, Tensor? weight, Tensor? bias, Tensor? baseOutput, ShardTerm[] terms)
    {
        this.input = input;
        this.weight = weight;
        this.bias = bias;
        this.baseOutput = baseOutput;
        this.terms = terms;
        inputShape = input.shape;
        inputDtype = input.dtype;
        inFeatures = inputShape[^1];
        rows = ShardOperations.Rows(inputShape);
        layers = [.. terms.Select(term => term.Layer).Distinct()];
        shards = [.. layers.Select(layer => layer.Shard)];
        var keys = terms.Select(term => term.SumKey(rows)).ToArray();
        sums = [.. keys.Distinct()];
        sumOfTerm = [.. keys.Select(key => Array.IndexOf(sums, key))];
    }

    public override IReadOnlyList<Tensor?> Inputs => [input, bias, baseOutput, .. shards];

    private bool HasBase => weight is not null;

    /// <summary>The target's output with <paramref name="terms"/>. The base output is part of the same function where the target is a frozen linear layer.</summary>
    public static Tensor Run(AdaptedTarget target, Tensor input, ShardTerm[] terms)
    {
        if (target.FrozenLinear is (var weight, var bias)) return AdapterFunction.Run(new ShardCall(input, weight, bias, null, terms));

        using var output = target.Module.forward(input);
        return AddTo(output, input, terms);
    }

    /// <summary><paramref name="output"/> plus <paramref name="terms"/>.</summary>
    public static Tensor AddTo(Tensor output, Tensor input, ShardTerm[] terms) => AdapterFunction.Run(new ShardCall(input, null, null, output, terms));

    /// <summary>Terms of layers that act on all rows.</summary>
    public static ShardTerm[] Terms(IEnumerable<AdapterLayer> layers, Tensor input) => LayerTerms.OfLayers(layers, input, Term);

    /// <summary>Terms of a mixed batch.</summary>
    public static ShardTerm[] Terms(IReadOnlyList<RowRun> runs, Tensor input) => LayerTerms.OfRuns(runs, input, Term);

    private static ShardTerm Term(AdapterLayer layer, long start, long count) => ShardTerm.Of((ShardLayer)layer, start, count);

    public override Tensor Forward()
    {
        var flatInput = Flat(input!, inFeatures);

        // Flat: for more dimensions libtorch's C++ linear adds the bias in a second, separately rounded step.
        // detach: a view as output would be protected from in-place changes by the caller.
        var output = baseOutput is null
            ? nn.functional.linear(flatInput, weight!, bias).view([.. inputShape[..^1], weight!.shape[0]]).detach()
            : baseOutput.detach().contiguous().clone();
        var flatOutput = Flat(output, output.shape[^1]);

        var shardSums = new Tensor[sums.Length];
        for (var i = 0; i < sums.Length; i++) shardSums[i] = sums[i].Compute(flatInput);
        foreach (var range in Enumerable.Range(0, terms.Length).GroupBy(i => (terms[i].Start, terms[i].Count)))
        {
            var products = range.Select(i => (sums[sumOfTerm[i]].Rows(shardSums[sumOfTerm[i]], terms[i]), ShardOf(terms[i], shards, flatOutput.dtype))).ToArray();
            ShardOperations.AddProducts(Part(flatOutput, range.Key.Start, range.Key.Count), products);
        }

        Save(weight);
        foreach (var sum in shardSums) SaveOwned(sum);
        foreach (var shard in shards) Save(shard);
        return output;
    }

    public override Tensor?[] Backward(Tensor gradOutput, IReadOnlyList<Tensor?> saved)
    {
        var baseWeight = saved[0];
        var savedShards = saved.Skip(1 + sums.Length).ToArray();
        var grad = Flat(gradOutput, gradOutput.shape[^1]);
        var (needsInput, needsBias, needsOutput) = (Needs[0], Needs[1], Needs[2]);

        var shardGradients = new Tensor?[layers.Length];
        var sumGradients = new Tensor?[sums.Length];
        for (var i = 0; i < terms.Length; i++)
        {
            var (term, sum) = (terms[i], sumOfTerm[i]);
            var layer = Array.IndexOf(layers, term.Layer);
            var (sumGradient, shardGradient) = ShardOperations.ProductGradients(
                Part(grad, term.Start, term.Count), sums[sum].Rows(saved[1 + sum]!, term), ShardOf(term, savedShards!, grad.dtype), needsInput, Needs[3 + layer]);
            if (shardGradient is not null) shardGradients[layer] = shardGradients[layer]?.add_(shardGradient, Scalars.One) ?? shardGradient;
            if (sumGradient is not null) sumGradients[sum] = sums[sum].Accumulate(sumGradients[sum], sumGradient, term);
        }

        Tensor? inputGradient = null;
        if (needsInput)
        {
            inputGradient = baseWeight is null ? zeros(rows, inFeatures, dtype: inputDtype, device: gradOutput.device) : grad.mm(baseWeight);
            AddSumGradients(inputGradient, sumGradients!);
            inputGradient = inputGradient.view(inputShape);
        }

        for (var i = 0; i < layers.Length; i++) shardGradients[i] = shardGradients[i]?.to(savedShards[i]!.dtype);
        return [inputGradient, needsBias ? grad.sum(dim: 0) : null, needsOutput ? gradOutput.alias() : null, .. shardGradients];
    }

    /// <summary>Adds the tiled gradients of the shard sums; as in PEFT their sum is rounded to the input's dtype before it is added to that of the base.</summary>
    private void AddSumGradients(Tensor inputGradient, Tensor[] sumGradients)
    {
        if (sums is [{ Dropout.IsNone: true } only])
        {
            ShardOperations.AddTiled(inputGradient, sumGradients[0].to(inputDtype).to(sumGradients[0].dtype), only.ShardSize);
            return;
        }

        var total = zeros(inputGradient.shape, dtype: ShardOperations.Accumulator(inputDtype), device: inputGradient.device);
        for (var i = 0; i < sums.Length; i++) sums[i].AddTiled(total, sumGradients[i]);
        inputGradient.add_(total.to(inputDtype), Scalars.One);
    }

    internal override void ReleaseInputs()
    {
        input = weight = bias = baseOutput = null;
        shards = [];
    }

    private Tensor ShardOf(ShardTerm term, Tensor[] from, ScalarType dtype) =>
        from[Array.IndexOf(layers, term.Layer)].to(ShardOperations.Accumulator(dtype));

    private Tensor Part(Tensor flat, long start, long count) => count == rows ? flat : flat.narrow(0, start, count);

    private Tensor Flat(Tensor tensor, long width) => tensor.reshape(rows, width).contiguous();
}
