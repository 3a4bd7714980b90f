using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>
/// One forward pass of a target with its LoRA adapters: y = u + Σ H Bᵀ with H = s·x Aᵀ. For the backward pass x itself and H are kept:
/// dB = dyᵀ H, dH = dy B, dA = s·dHᵀ x, dx = dy W + s·dH A. Of factors that are not trained no H is kept.
/// </summary>
internal sealed class LoraCall : AdditiveCall<LoraTerm>
{
    private readonly Dictionary<LoraProduct, (CallInput A, CallInput B)> factors = [];
    private readonly Dictionary<LoraTerm, CallTensor> hidden = [];

    private LoraCall(AdaptedTarget target, Tensor input, BaseOutput start, LoraTerm[] terms, LoraCall? whole = null)
        : base(target, input, start, terms, whole)
    {
        foreach (var product in terms.Select(term => term.Product).Distinct()) factors.Add(product, (Input(product.A), Input(product.B)));
    }

    /// <summary>The output of <paramref name="pass"/>.</summary>
    public static Tensor Run(TargetPass pass)
    {
        LoraTerm[] terms = [.. pass.Layers.SelectMany(LoraTerm.Of)];
        using var start = BaseOutput.Of(pass);
        return AdapterFunction.Run(new LoraCall(pass.Target, pass.Input, start, terms));
    }

    /// <summary>The outputs of targets that read the same x.</summary>
    /// <param name="passes">At least one, each with a frozen linear layer and nothing before.</param>
    public static Tensor[] RunShared(IReadOnlyList<TargetPass> passes)
    {
        var first = Create(passes[0]);
        return AdapterFunction.RunAll(first.With([.. passes.Skip(1).Select(pass => Create(pass, first))]));
    }

    private static LoraCall Create(TargetPass pass, LoraCall? whole = null) => new(pass.Target, pass.Input, BaseOutput.Of(pass), [.. pass.Layers.SelectMany(LoraTerm.Of)], whole);

    /// <summary><paramref name="output"/> plus <paramref name="terms"/>.</summary>
    public static Tensor AddTo(Tensor output, AdaptedTarget target, Tensor input, LoraTerm[] terms) => AdapterFunction.Run(new LoraCall(target, input, BaseOutput.Of(output), terms));

    protected override bool GivesProducts => HasRoundedProducts && Terms.All(term => term.Dropout.IsNone && term.Rows == new RowRange(0, Rows));

    protected override void AddTerms(Tensor output, Tensor input)
    {
        foreach (var group in Groups)
        {
            var results = LowRankFactor.Hidden(group.Key.Of(input), [.. group.Select(FactorOf)]);

            // Side by side the factors are one product, but for their scale where that is not in H.
            if (!HasRoundedProducts) ShardOperations.AddProducts(group.Key.Of(output), [(Joined(results, 1), Joined([.. group.Select(TransposedB)], 0))]);
            else foreach (var (term, result) in group.Zip(results)) AddRoundedProduct(output, group.Key, result, factors[term.Product].B.Value.t(), term.Scale);
            foreach (var (term, result) in group.Zip(results))
            {
                if (factors[term.Product].B.NeedsGradient) hidden.Add(term, SaveOwned(result));
            }
        }

        Save(X);
        foreach (var (a, b) in factors.Values)
        {
            Save(a);
            Save(b);
        }
    }

    protected override void AddGradients(Tensor gradOutput, Tensor? inputGradient)
    {
        var flatInput = Flat(X.Value);
        foreach (var group in Groups)
        {
            LoraTerm[] terms = [.. group.Where(term => inputGradient is not null || factors[term.Product] is { A.NeedsGradient: true } or { B.NeedsGradient: true })];
            var part = group.Key.Of(gradOutput);
            var hiddenGradients = new Tensor[terms.Length];
            for (var i = 0; i < terms.Length; i++)
            {
                var (gradient, scale) = Scaled(part, terms[i]);
                var b = factors[terms[i].Product].B;
                hiddenGradients[i] = HasRoundedProducts ? ProductSum.Of(gradient, b.Value, ProductDtype, scale) : ShardOperations.TimesTransposed(gradient, TransposedB(terms[i]));
                if (!hidden.TryGetValue(terms[i], out var kept)) continue;
                b.AddGradient((HasRoundedProducts ? ProductSum.OfTransposed(kept.Value, gradient, scale) : ShardOperations.TransposedTimes(kept.Value, gradient)).t());
            }

            bool[] needsA = [.. terms.Select(term => factors[term.Product].A.NeedsGradient)];
            if (terms.Length == 0 || (inputGradient is null && !needsA.Contains(true))) continue;
            LowRankFactor[] parts = [.. terms.Select(FactorOf)];
            var isInSum = GivesProducts && inputGradient is not null && parts.Zip(hiddenGradients).All(pair => pair.First.ProductOf(pair.Second) is var (left, right) && TryAddToSum(left, right));
            var gradientsOfA = LowRankFactor.Gradients(group.Key.Of(flatInput), parts, hiddenGradients, inputGradient is null || isInSum ? null : group.Key.Of(inputGradient), needsA);
            foreach (var (term, gradient) in terms.Zip(gradientsOfA)) factors[term.Product].A.AddGradient(gradient);
        }
    }

    private static Tensor Joined(IReadOnlyList<Tensor> parts, int dimension) => parts is [var only] ? only : cat([.. parts], dimension);

    /// <summary>dy of a term, with what is left to multiply its products with. As in PEFT s·dy is rounded, which of a power of two rounds nothing.</summary>
    private (Tensor Gradient, double Scale) Scaled(Tensor gradOutput, LoraTerm term) =>
        !HasRoundedProducts ? (gradOutput, 1) : double.IsPow2(Math.Abs(term.Scale)) ? (gradOutput, term.Scale) : (gradOutput.mul(Scalars.Of(term.Scale)), 1);

    // Rounded H has no scale in it, as in PEFT: that is an exact factor of the product with B then.
    private LowRankFactor FactorOf(LoraTerm term) => new(factors[term.Product].A.Value.to(Accumulator), HasRoundedProducts ? 1 : term.Scale, term.Dropout, ProductDtype);

    /// <summary>Bᵀ (r, out), by rows, as the kernels of float32 products read it.</summary>
    private Tensor TransposedB(LoraTerm term) => factors[term.Product].B.Value.to(Accumulator).t().contiguous();
}
