using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>
/// One forward pass of a target with its LoRA adapters: y = x Wᵀ + b + Σ H Bᵀ with H = s·x Aᵀ. For the backward pass x itself and H are kept:
/// dB = dyᵀ H, dH = dy B, dA = s·dHᵀ x, dx = dy W + s·dH A. Of factors that are not trained no H is kept.
/// </summary>
internal sealed class LoraCall : AdapterCall
{
    private const int FirstFactor = 3;
    private const int FirstSavedHidden = 2;

    private readonly long[] inputShape;
    private readonly long rows;
    private readonly LoraTerm[] terms;
    private readonly LoraProduct[] products;

    // Set for the forward pass only: autograd keeps what the backward pass needs.
    private Tensor? input;
    private Tensor? weight;
    private Tensor? bias;
    private Tensor? baseOutput;
    private Tensor[] factors;

    private LoraCall(Tensor input, Tensor? weight, Tensor? bias, Tensor? baseOutput, LoraTerm[] terms)
    {
        this.input = input;
        this.weight = weight;
        this.bias = bias;
        this.baseOutput = baseOutput;
        this.terms = terms;
        inputShape = input.shape;
        rows = ShardOperations.Rows(inputShape);
        products = [.. terms.Select(term => term.Product).Distinct()];
        factors = [.. products.SelectMany(product => (Tensor[])[product.A, product.B])];
    }

    public override IReadOnlyList<Tensor?> Inputs => [input, bias, baseOutput, .. factors];

    /// <summary>The terms by the rows that they act on. In a mixed batch these do not overlap; otherwise all act on all.</summary>
    private IEnumerable<IGrouping<(long Start, long Count), int>> Groups => Enumerable.Range(0, terms.Length).GroupBy(i => (terms[i].Start, terms[i].Count));

    /// <summary>The target's output with <paramref name="terms"/>. The base output is part of the same function where the target is a frozen linear layer.</summary>
    public static Tensor Run(AdaptedTarget target, Tensor input, LoraTerm[] terms)
    {
        if (target.FrozenLinear is (var weight, var bias)) return AdapterFunction.Run(new LoraCall(input, weight, bias, null, terms));
        using var output = target.Module.forward(input);
        return AddTo(output, input, terms);
    }

    /// <summary><paramref name="output"/> plus <paramref name="terms"/>.</summary>
    public static Tensor AddTo(Tensor output, Tensor input, LoraTerm[] terms) => AdapterFunction.Run(new LoraCall(input, null, null, output, terms));

    /// <summary>Terms of layers that act on all rows.</summary>
    public static LoraTerm[] Terms(IEnumerable<AdapterLayer> layers, Tensor input) => [.. LayerTerms.OfLayers(layers, input, TermsOf).SelectMany(terms => terms)];

    /// <summary>Terms of a mixed batch.</summary>
    public static LoraTerm[] Terms(IReadOnlyList<RowRun> runs, Tensor input) => [.. LayerTerms.OfRuns(runs, input, TermsOf).SelectMany(terms => terms)];

    private static LoraTerm[] TermsOf(AdapterLayer layer, long start, long count) => LoraTerm.Of((LoraLayer)layer, start, count);

    public override Tensor Forward()
    {
        var flatInput = Flat(input!, inputShape[^1]);

        // detach: a view as output would be protected from in-place changes by the caller.
        var output = baseOutput is null
            ? nn.functional.linear(flatInput, weight!, bias).view([.. inputShape[..^1], weight!.shape[0]]).detach()
            : baseOutput.detach().contiguous().clone();
        var flatOutput = Flat(output, output.shape[^1]);
        var accumulator = ShardOperations.Accumulator(flatInput.dtype);
        var hidden = new Tensor[terms.Length];
        foreach (var group in Groups)
        {
            var results = LoraFactor.Hidden(Part(flatInput, group.Key), [.. group.Select(i => Factor(terms[i], factors, accumulator))]);
            foreach (var (i, result) in group.Zip(results)) hidden[i] = result;

            // Side by side the factors are one product.
            ShardOperations.AddProducts(Part(flatOutput, group.Key), [(Joined(results), Joined([.. group.Select(i => FactorB(terms[i], factors, accumulator))]).t())]);
        }

        Save(input);
        Save(weight);
        for (var i = 0; i < terms.Length; i++)
        {
            if (NeedsFactor(terms[i], 1)) SaveOwned(hidden[i]);
            else Save(null);
        }

        foreach (var factor in factors) Save(factor);
        return output;
    }

    public override Tensor?[] Backward(Tensor gradOutput, IReadOnlyList<Tensor?> saved)
    {
        var (flatInput, baseWeight) = (Flat(saved[0]!, inputShape[^1]), saved[1]);
        var hidden = saved.Skip(FirstSavedHidden).Take(terms.Length).ToArray();
        var savedFactors = saved.Skip(FirstSavedHidden + terms.Length).Select(factor => factor!).ToArray();
        var accumulator = ShardOperations.Accumulator(flatInput.dtype);
        var grad = Flat(gradOutput, gradOutput.shape[^1]);

        var inputGradient = Needs[0] ? baseWeight is null ? zeros_like(flatInput) : grad.mm(baseWeight) : null;
        var factorGradients = new Tensor?[savedFactors.Length];
        foreach (var group in Groups)
        {
            int[] indices = [.. group.Where(i => inputGradient is not null || NeedsFactor(terms[i], 0) || NeedsFactor(terms[i], 1))];
            var (part, hiddenGradients) = (Part(grad, group.Key), new Tensor[indices.Length]);
            for (var n = 0; n < indices.Length; n++)
            {
                var term = terms[indices[n]];
                var factorB = FactorB(term, savedFactors, accumulator);

                // The values of H matter for the gradient of B alone.
                var sum = hidden[indices[n]] ?? empty(part.shape[0], factorB.shape[1], dtype: accumulator, device: part.device);
                var (hiddenGradient, gradB) = ShardOperations.ProductGradients(part, sum, factorB.t(), true, NeedsFactor(term, 1));
                hiddenGradients[n] = hiddenGradient!;
                Accumulate(factorGradients, term, 1, gradB?.t());
            }

            var needsA = indices.Select(i => NeedsFactor(terms[i], 0)).ToArray();
            if (indices.Length == 0 || (inputGradient is null && !needsA.Contains(true))) continue;
            var gradientsOfA = LoraFactor.Gradients(
                Part(flatInput, group.Key), [.. indices.Select(i => Factor(terms[i], savedFactors, accumulator))], hiddenGradients, inputGradient is null ? null : Part(inputGradient, group.Key), needsA);
            for (var n = 0; n < indices.Length; n++) Accumulate(factorGradients, terms[indices[n]], 0, gradientsOfA[n]);
        }

        for (var i = 0; i < factorGradients.Length; i++) factorGradients[i] = factorGradients[i]?.to(savedFactors[i].dtype);
        return [inputGradient?.view(inputShape), Needs[1] ? grad.sum(dim: 0) : null, Needs[2] ? gradOutput.alias() : null, .. factorGradients];
    }

    internal override void ReleaseInputs()
    {
        input = weight = bias = baseOutput = null;
        factors = [];
    }

    private int Index(LoraTerm term, int factor) => (2 * Array.IndexOf(products, term.Product)) + factor;

    private bool NeedsFactor(LoraTerm term, int factor) => Needs[FirstFactor + Index(term, factor)];

    private static Tensor Joined(IReadOnlyList<Tensor> columns) => columns is [var only] ? only : cat([.. columns], 1);

    private void Accumulate(Tensor?[] gradients, LoraTerm term, int factor, Tensor? gradient)
    {
        if (gradient is null) return;
        ref var total = ref gradients[Index(term, factor)];
        total = total is null ? gradient : total.add_(gradient, Scalars.One);
    }

    private LoraFactor Factor(LoraTerm term, Tensor[] from, ScalarType accumulator) => new(from[Index(term, 0)].to(accumulator), term.Scale, term.Dropout);

    private Tensor FactorB(LoraTerm term, Tensor[] from, ScalarType accumulator) => from[Index(term, 1)].to(accumulator);

    private Tensor Part(Tensor flat, (long Start, long Count) range) => range.Count == rows ? flat : flat.narrow(0, range.Start, range.Count);

    private Tensor Flat(Tensor tensor, long width) => tensor.reshape(rows, width).contiguous();
}
