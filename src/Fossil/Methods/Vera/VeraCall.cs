using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Vera;

/// <summary>
/// One forward pass of a target with its VeRA adapters: y = u + H B'ᵀ with H = x Aᵀ and B' = diag(λb) B diag(λd). A is frozen, so x is not kept for the backward pass, only H, which all adapters
/// share: M = dyᵀ H, dλb = Σ_j (M ⊙ B)_j λd_j, dλd = Σ_o (M ⊙ B)_o λb_o, dH = dy B', dx = dy W + dH A.
/// </summary>
internal sealed class VeraCall : AdditiveCall<VeraTerm>
{
    private readonly Dictionary<VeraLayer, (CallInput LambdaB, CallInput LambdaD)> vectors = [];
    private readonly OrderedDictionary<(RowRange Rows, DropoutMask Dropout), CallTensor> hidden = [];
    private readonly CallTensor a;
    private readonly CallTensor b;

    private VeraCall(TargetPass pass, BaseOutput start, VeraTerm[] terms, Tensor a, Tensor b)
        : base(pass.Target, pass.Input, start, terms)
    {
        (this.a, this.b) = (Constant(a), Constant(b));
        foreach (var layer in terms.Select(term => term.Layer).Distinct()) vectors.Add(layer, (Input(layer.LambdaB), Input(layer.LambdaD)));
    }

    /// <summary>The output of <paramref name="pass"/>.</summary>
    public static Tensor Run(TargetPass pass)
    {
        VeraTerm[] terms = [.. pass.Layers.Select(VeraTerm.Of)];
        using var start = BaseOutput.Of(pass);
        using var a = terms[0].Layer.A;
        using var b = terms[0].Layer.B;
        return AdapterFunction.Run(new VeraCall(pass, start, terms, a, b));
    }

    protected override void AddTerms(Tensor output, Tensor input)
    {
        foreach (var key in Terms.Select(KeyOf).Distinct()) hidden.Add(key, SaveOwned(LowRankFactor.Hidden(key.Rows.Of(input), [FactorOf(key)])[0]));
        foreach (var group in Groups)
        {
            if (!HasRoundedProducts) ShardOperations.AddProducts(group.Key.Of(output), [.. group.Select(term => (HiddenOf(term), ScaledOf(term).t()))]);
            else foreach (var term in group) AddRoundedProduct(output, group.Key, HiddenOf(term), ScaledOf(term).t());
        }

        Save(a);
        Save(b);
        foreach (var (lambdaB, lambdaD) in vectors.Values)
        {
            Save(lambdaB);
            Save(lambdaD);
        }
    }

    protected override void AddGradients(Tensor gradOutput, Tensor? inputGradient)
    {
        var projection = b.Value.to(Accumulator);
        var hiddenGradients = new Tensor?[hidden.Count];
        foreach (var term in Terms)
        {
            var (lambdaB, lambdaD) = vectors[term.Layer];
            var (hiddenGradient, product) = ShardOperations.ProductGradients(
                term.Rows.Of(gradOutput), HiddenOf(term), ScaledOf(term).t(), inputGradient is not null, lambdaB.NeedsGradient || lambdaD.NeedsGradient);
            if (product is not null)
            {
                var weighed = product.to(Accumulator).t().mul_(projection);
                if (lambdaB.NeedsGradient) lambdaB.AddGradient(weighed.mv(lambdaD.Value.to(Accumulator)));
                if (lambdaD.NeedsGradient) lambdaD.AddGradient(weighed.t().mv(lambdaB.Value.to(Accumulator)));
            }

            ref var total = ref hiddenGradients[hidden.IndexOf(KeyOf(term))];
            if (hiddenGradient is not null) total = total is null ? hiddenGradient : total.add_(hiddenGradient, Scalars.One);
        }

        if (inputGradient is null) return;
        foreach (var group in hidden.Keys.GroupBy(key => key.Rows))
        {
            // As in PEFT, what all adapters give is rounded to x's dtype before it is added to what the base gives.
            var rows = group.Key.Of(inputGradient);
            var part = rows.dtype == ProductDtype ? rows : zeros_like(rows);
            LowRankFactor.Gradients(null, [.. group.Select(FactorOf)], [.. group.Select(key => hiddenGradients[hidden.IndexOf(key)]!)], part, [.. group.Select(_ => false)]);
            if (part.dtype != ProductDtype) rows.add_(part, Scalars.One);
        }
    }

    private static (RowRange Rows, DropoutMask Dropout) KeyOf(VeraTerm term) => (term.Rows, term.Dropout);

    private LowRankFactor FactorOf((RowRange Rows, DropoutMask Dropout) key) => new(a.Value.to(Accumulator), 1, key.Dropout, ProductDtype);

    private Tensor HiddenOf(VeraTerm term) => hidden[KeyOf(term)].Value;

    private Tensor ScaledOf(VeraTerm term) =>
        VeraLayer.Scaled(b.Value.to(Accumulator), vectors[term.Layer].LambdaB.Value.to(Accumulator), vectors[term.Layer].LambdaD.Value.to(Accumulator)).to(ProductDtype);
}
