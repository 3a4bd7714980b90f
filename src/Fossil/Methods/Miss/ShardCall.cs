using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Concurrency;
using Fossil.Kernels;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Methods.Miss;

/// <summary>
/// One forward pass of a target with its Balance, padded and Mini adapters (arXiv 2409.15371, equations 5 and 6): y = u + S D. Only the shard sums are kept for the
/// backward pass: dD = Sᵀ dy, dS = dy Dᵀ, dx = dy W + tile(dS).
/// </summary>
internal sealed class ShardCall : AdditiveCall<ShardTerm>
{
    private readonly Dictionary<ShardLayer, CallInput> shards = [];
    private readonly ShardSums sums;

    private ShardCall(TargetPass pass, BaseOutput start, ShardTerm[] terms, ShardCall? whole = null)
        : base(pass.Target, pass.Input, start, terms, whole)
    {
        sums = whole?.sums ?? new();
        foreach (var layer in terms.Select(term => term.Layer).Distinct()) shards.Add(layer, Input(layer.Shard));
    }

    /// <summary>The output of <paramref name="pass"/>.</summary>
    public static Tensor Run(TargetPass pass)
    {
        ShardTerm[] terms = [.. pass.Layers.Select(ShardTerm.Of)];
        using var start = BaseOutput.Of(pass);
        return AdapterFunction.Run(new ShardCall(pass, start, terms));
    }

    /// <summary>The outputs of targets that read the same x: their shard sums and the gradients of these are made once.</summary>
    /// <param name="passes">At least one, each with a frozen linear layer and nothing before.</param>
    public static Tensor[] RunShared(IReadOnlyList<TargetPass> passes)
    {
        var first = Create(passes[0]);
        return AdapterFunction.RunAll(first.With([.. passes.Skip(1).Select(pass => Create(pass, first))]));
    }

    private static ShardCall Create(TargetPass pass, ShardCall? whole = null) => new(pass, BaseOutput.Of(pass), [.. pass.Layers.Select(ShardTerm.Of)], whole);

    protected override bool GivesProducts => SetsInputGradient;

    protected override bool TakesSum(Tensor rows) => Terms.All(term => KernelRegistry.For<IShardStep>(term.Layer.ShardSize, rows) is []);

    protected override bool SetsInputGradient => sums.Only is { Dropout.IsNone: true } only && InputShape[^1] % only.ShardSize == 0;

    /// <summary>The only term, where it is one whose passes a device may take as a whole; null otherwise.</summary>
    private ShardTerm? OnlyStep => Rows > 0 && InputDtype == OutputDtype && Accumulator == ScalarType.Float32 && Terms is [{ Dropout.IsNone: true } only] && only.Rows.Count == Rows ? only : null;

    /// <summary>The dtype that a step wants S and D in.</summary>
    private ScalarType StepDtype => IShardStep.AreFew(Rows) ? ScalarType.Float32 : ProductDtype;

    /// <summary>The only term, with the float32 weight that a kernel may add it to; null otherwise.</summary>
    private (ShardTerm Term, Tensor Weight)? OnlyOnWeight => InputDtype == ScalarType.Float32 && !HasRoundedProducts
        && Terms is [{ Dropout.IsNone: true, Layer.IsTiled: false } only] && only.Rows.Count == Rows && Weight is FloatWeight { Dtype: ScalarType.Float32 } weight
        && KernelRegistry.For<ITiledWeightProduct>(only.Layer.ShardSize, weight.Tensor) is [var kernel, ..] && kernel.Pays(Rows, weight.InFeatures, weight.OutFeatures) ? (only, weight.Tensor) : null;

    protected override Tensor? TryProduct(Tensor input)
    {
        if (OnlyOnWeight is not (var term, var weight)) return null;
        var (size, shard) = (term.Layer.ShardSize, ShardOf(term, ProductDtype));
        var output = empty(Rows, weight.size(0), dtype: OutputDtype, device: input.device);
        if (!KernelRegistry.TryRun<ITiledWeightProduct>(size, [output, input, weight, shard], static (kernel, m) => kernel.TryProduct(m[0], m[1], m[2], m[3]))) return null;
        sums.GetOrAdd(KeyOf(term), Accumulator, () => SaveOwned(ShardOperations.ShardSum(input, size)));
        foreach (var saved in shards.Values) Save(saved);
        return output;
    }

    protected override bool TryAddInputGradient(Tensor gradOutput, ref Tensor? inputGradient)
    {
        if (OnlyOnWeight is not (var term, var weight)) return false;
        var adds = inputGradient is not null;
        var sum = inputGradient ?? empty(Rows, weight.size(1), dtype: InputDtype, device: gradOutput.device);
        var transposed = ShardOf(term, ProductDtype).t().contiguous();
        if (!KernelRegistry.TryRun<ITiledWeightProduct>(term.Layer.ShardSize, [sum, gradOutput, weight, transposed], (kernel, m) => kernel.TryInputGradient(m[0], m[1], m[2], m[3], adds))) return false;
        inputGradient = sum;
        return true;
    }

    protected override void AddTerms(Tensor output, Tensor input)
    {
        if (!IsOfSum && (TryAddStep(output, input) || TryAddMixedRows(output, input))) return;
        foreach (var terms in Terms.GroupBy(KeyOf))
        {
            var dtype = terms.All(term => GradientDtype(term) == ProductDtype) ? ProductDtype : Accumulator;
            sums.GetOrAdd(terms.Key, dtype, () => SaveOwned(terms.Key.Compute(input).to(dtype)));
        }

        foreach (var group in Groups)
        {
            if (!HasRoundedProducts) ShardOperations.AddProducts(group.Key.Of(output), [.. group.Select(term => (SumOf(term, ProductDtype), ShardOf(term, ProductDtype)))]);
            else foreach (var term in group) AddRoundedProduct(output, group.Key, SumOf(term, ProductDtype), shards[term.Layer].Value);
        }

        foreach (var shard in shards.Values) Save(shard);
    }

    protected override void AddGradients(Tensor gradOutput, Tensor? inputGradient)
    {
        if (TryAddGradientsOfStep(gradOutput, inputGradient)) return;
        foreach (var term in Terms)
        {
            var (shard, dtype) = (shards[term.Layer], GradientDtype(term));
            if (dtype != Accumulator)
            {
                AddRoundedGradients(term.Rows.Of(gradOutput), term, shard, inputGradient is not null);
                continue;
            }

            var (sumGradient, shardGradient) = ShardOperations.ProductGradients(term.Rows.Of(gradOutput), SumOf(term, dtype), ShardOf(term, dtype), inputGradient is not null, shard.NeedsGradient, shard.FindPlace(dtype));
            shard.AddGradient(shardGradient);
            if (sumGradient is not null) sums.AddGradient(KeyOf(term), sumGradient, term);
        }
    }

    /// <summary>dS = dy Dᵀ and dD = Sᵀ dy of factors in bfloat16, neither of them rounded.</summary>
    private void AddRoundedGradients(Tensor gradOutput, ShardTerm term, CallInput shard, bool needsSum)
    {
        if (shard.NeedsGradient) shard.AddGradient(ProductSum.OfTransposed(SumOf(term, ProductDtype), gradOutput, place: shard.FindPlace(Accumulator)));
        if (needsSum) sums.AddGradient(KeyOf(term), ProductSum.Of(gradOutput, shard.Value.t(), Accumulator), term);
    }

    private bool TryAddStep(Tensor output, Tensor input)
    {
        if (OnlyStep is not { } term || KernelRegistry.For<IShardStep>(term.Layer.ShardSize, output) is []) return false;
        var (isRounded, adds) = (HasRoundedProducts, !IsUnset);
        var sum = empty(Rows, term.Layer.ShardSize, dtype: StepDtype, device: input.device);
        if (!KernelRegistry.TryRun<IShardStep>(term.Layer.ShardSize, [output, input, ShardOf(term, StepDtype), sum], (kernel, m) => kernel.TryForward(m[0], m[1], m[2], m[3], isRounded, adds)))
        {
            sum.Dispose();
            return false;
        }

        IsUnset = false;
        sums.GetOrAdd(KeyOf(term), StepDtype, () => SaveOwned(sum));
        foreach (var shard in shards.Values) Save(shard);
        return true;
    }

    /// <summary>Rows of several adapters without a backward pass, as in decoding for several users at once.</summary>
    private bool TryAddMixedRows(Tensor output, Tensor input)
    {
        if (IsRecorded || Rows is 0 or > IMixedRows.MostRows || InputDtype != OutputDtype || Terms is [] or [_] || Terms.Any(term => !term.Dropout.IsNone || term.Layer.ShardSize != Terms[0].Layer.ShardSize)) return false;
        if (KernelRegistry.For<IMixedRows>(Terms[0].Layer.ShardSize, output) is []) return false;
        var adapters = new long[Rows];
        Array.Fill(adapters, -1);
        for (var i = 0; i < Terms.Count; i++)
        {
            for (var row = Terms[i].Rows.Start; row < Terms[i].Rows.Start + Terms[i].Rows.Count; row++)
            {
                // Two adapters of one row add up: that is not for this kernel.
                if (adapters[row] >= 0) return false;
                adapters[row] = i;
            }
        }

        Tensor[] operands = [output, input, .. Terms.Select(term => shards[term.Layer].Value)];
        return KernelRegistry.TryRun<IMixedRows>(Terms[0].Layer.ShardSize, operands, (kernel, m) => kernel.TryAdd(m[0], m[1], m[2..], adapters));
    }

    private bool TryAddGradientsOfStep(Tensor gradOutput, Tensor? inputGradient)
    {
        if (inputGradient is null || OnlyStep is not { } term || !shards[term.Layer].NeedsGradient || KernelRegistry.For<IShardStep>(term.Layer.ShardSize, gradOutput) is []) return false;
        var (isRounded, adds) = (HasRoundedProducts, !(AddsBaseLast && HasBase && SetsInputGradient));
        var shardGradient = shards[term.Layer].FindPlace(ScalarType.Float32) ?? empty(shards[term.Layer].Value.shape, dtype: ScalarType.Float32, device: gradOutput.device);
        if (!KernelRegistry.TryRun<IShardStep>(
            term.Layer.ShardSize, [gradOutput, ShardOf(term, StepDtype), SumOf(term, StepDtype), inputGradient, shardGradient], (kernel, m) => kernel.TryBackward(m[0], m[1], m[2], m[3], m[4], isRounded, adds))) return false;
        shards[term.Layer].AddGradient(shardGradient);
        return true;
    }

    /// <summary>Adds the tiled gradients of the shard sums; as in PEFT their sum is rounded to the input's dtype before it is added to that of the base.</summary>
    protected override void CompleteInputGradient(Tensor inputGradient, ProductSum? products)
    {
        var gradients = sums.TakeGradients();
        if (gradients is []) return;
        if (products is not null)
        {
            products.Tile = gradients[0].Gradient.to(Accumulator);
            return;
        }

        if (AddsBaseLast && HasBase && SetsInputGradient)
        {
            // What is tiled is rounded already; the base's part is added to it.
            var size = gradients[0].Gradient.size(1);
            inputGradient.view(Rows, -1, size).copy_(gradients[0].Gradient.to(InputDtype).unsqueeze(1));
            return;
        }

        if (gradients is [({ Dropout.IsNone: true } only, var single)])
        {
            ShardOperations.AddTiled(inputGradient, single.to(InputDtype).to(Accumulator), only.ShardSize);
            return;
        }

        var total = zeros(inputGradient.shape, dtype: Accumulator, device: inputGradient.device);
        foreach (var (key, gradient) in gradients) key.AddTiled(total, gradient.to(Accumulator));
        inputGradient.add_(total.to(InputDtype), Scalars.One);
    }

    private ShardSumKey KeyOf(ShardTerm term) => term.SumKey(Rows);

    /// <summary>Mini's gradients are of narrow products, m of the output's columns: in float32 they need no rounding of dy's sum over the tiles.</summary>
    private ScalarType GradientDtype(ShardTerm term) => term.Layer.IsTiled ? Accumulator : ProductDtype;

    private Tensor SumOf(ShardTerm term, ScalarType dtype) => KeyOf(term).Rows(sums.Of(KeyOf(term), dtype), term).to(dtype);

    private Tensor ShardOf(ShardTerm term, ScalarType dtype) => shards[term.Layer].Value.to(dtype);
}
