using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.CompilerServices;
using Fossil.Concurrency;
using Fossil.Kernels;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>
/// One forward pass of a target with a DoRA adapter. With g = m / ‖W + s·B A‖, u = x Wᵀ and l = s·(x Aᵀ) Bᵀ: y = g ⊙ (u + l) + b, where the base is part of the
/// function; otherwise what the adapter adds to a given output, (g − 1) ⊙ u + g ⊙ l. The norm is a constant in the backward pass. With PiSSA's start B A − B₀ A₀ =
/// [B, −B₀] [A; A₀] takes the place of B A.
/// </summary>
internal sealed class DoraCall : TargetCall
{
    private readonly CallWeight weight;
    private readonly CallInput bias;
    private readonly CallInput addend;
    private readonly CallInput a;
    private readonly CallInput b;
    private readonly CallInput magnitude;
    private readonly CallTensor initialA;
    private readonly CallTensor initialB;
    private readonly double scale;
    private readonly DropoutMask dropout;
    private readonly bool isWhole;

    // What the forward pass keeps: u, H = s·drop(x) Aᵀ, ‖V‖. Where products are rounded u has the bias in it, as in PEFT.
    private CallTensor? direct;
    private CallTensor? hidden;
    private CallTensor? norm;

    private Tensor? RoundedBias => HasRoundedProducts ? bias.Optional : null;

    private DoraCall(AdaptedTarget target, Tensor input, LinearWeight weight, Tensor? bias, Tensor? addend, DoraLayer layer, DropoutMask dropout)
        : base(target, input)
    {
        (this.weight, this.bias, this.addend) = (Input(weight), Input(bias), Input(addend));
        (a, b, magnitude) = (Input(layer.A), Input(layer.B), Input(layer.Magnitude));
        (initialA, initialB) = (Constant(layer.IsPissa ? layer.InitialA : null), Constant(layer.IsPissa ? layer.InitialB : null));
        (this.dropout, isWhole, scale) = (dropout, addend is null, layer.Scale);
    }

    /// <summary>The target's output with <paramref name="layer"/>.</summary>
    public static Tensor Run(AdaptedTarget target, Tensor input, DoraLayer layer)
    {
        // With dropout the base sees x and the adapter's two products see what is left of it, so that they are no longer one product.
        var dropout = DropoutMask.Draw(layer.Config.Dropout, target.Module, target.Path);
        if (dropout.IsNone && target.Base.Frozen is { } weight)
            return AdapterFunction.Run(new DoraCall(target, input, weight, target.Base.Bias, null, layer, dropout));

        using var output = target.Base.Forward(input);
        return AddTo(output, target, input, layer, dropout);
    }

    /// <summary><paramref name="output"/> plus what <paramref name="layer"/> adds to the base's.</summary>
    public static Tensor AddTo(Tensor output, AdaptedTarget target, Tensor input, DoraLayer layer) => AddTo(output, target, input, layer, DropoutMask.Draw(layer.Config.Dropout, target.Module, target.Path));

    private static Tensor AddTo(Tensor output, AdaptedTarget target, Tensor input, DoraLayer layer, DropoutMask dropout)
    {
        if (!layer.IsPissa || dropout.IsNone) return AdapterFunction.Run(new DoraCall(target, input, target.Base.ProductWeight, null, output, layer, dropout));

        // In the given output PiSSA's part is still the weight's, which sees x without dropout.
        var rows = RowRange.All(input);
        using var residual = LoraCall.AddTo(output, target, input, [LoraTerm.Initial(layer, -layer.Scale, rows, DropoutMask.None), LoraTerm.Initial(layer, layer.Scale, rows, dropout)]);
        return AdapterFunction.Run(new DoraCall(target, input, target.Base.ProductWeight, null, residual, layer, dropout));
    }

    public override Tensor Forward()
    {
        var flatInput = Flat(X.Value);
        var (wideA, wideB) = Change();
        var w = weight.Value;
        norm = SaveOwned(w.Exact.RowNorms(wideA, wideB, scale, ProductDtype));
        hidden = SaveOwned(LowRankFactor.Hidden(flatInput, [FactorOf(wideA)])[0]);
        direct = SaveOwned(w.Product(Kept(flatInput).to(OutputDtype), RoundedBias));
        var output = empty(ShapeWith(w.OutFeatures), dtype: OutputDtype, device: flatInput.device);
        var (flatOutput, flatAddend) = (Flat(output), addend.Optional is { } given ? Flat(given) : null);
        if (!HasRoundedProducts || !TryForward(flatOutput, hidden.Value, wideB, direct.Value, flatAddend))
        {
            var transposed = wideB.to(ProductDtype).t();
            foreach (var (start, count) in ShardOperations.Blocks(flatOutput, Accumulator))
            {
                using var block = NewDisposeScope();
                var rows = new RowRange(start, count);
                var (part, change, u, added) = (rows.Of(flatOutput), rows.Of(hidden.Value).mm(transposed), rows.Of(direct.Value), flatAddend is null ? null : rows.Of(flatAddend));
                if (!TryForward(part, change, null, u, added)) part.copy_(SumByOperations(change, u, added));
            }
        }

        Save(weight);
        foreach (var tensor in (CallTensor[])[X, a, b, magnitude, initialA, initialB]) Save(tensor);
        if (HasRoundedProducts) Save(bias);
        return output;
    }

    public override void Backward(Tensor gradOutput)
    {
        var (flatInput, grad) = (Flat(X.Value), Flat(gradOutput));
        var (wideA, wideB) = Change();
        var directGradient = empty_like(direct!.Value);
        var gradB = (IsPissa ? null : b.FindPlace(Accumulator)) ?? empty_like(wideB);
        var gradMagnitude = magnitude.FindPlace(Accumulator) ?? empty_like(norm!.Value);

        // g ⊙ dy, whole where its products are in its own dtype, to be rounded once.
        var gained = !HasRoundedProducts ? null : isWhole ? directGradient : empty_like(directGradient);
        Tensor hiddenGradient;
        if (gained is null)
        {
            hiddenGradient = empty_like(hidden!.Value);
            BackwardByBlocks(grad, wideB, gained, directGradient, gradMagnitude, gradB, hiddenGradient);
        }
        else
        {
            if (!TryBackward(grad, hidden!.Value, wideB, direct.Value, gained, directGradient, gradMagnitude, gradB, adds: false))
            {
                BackwardByBlocks(grad, wideB, gained, directGradient, gradMagnitude, gradB, null);
                ProductSum.OfTransposed(gained, hidden.Value, scale, gradB);
            }

            hiddenGradient = ProductSum.Of(gained, wideB, ProductDtype, scale);
        }

        var gradA = InputGradients(flatInput, wideA, directGradient, hiddenGradient);
        if (weight.NeedsGradient) weight.Gradient = directGradient.t().mm(Kept(flatInput).to(OutputDtype));
        if (bias.NeedsGradient) bias.Gradient = grad.sum(dim: 0);
        if (addend.NeedsGradient) addend.Gradient = gradOutput.alias();
        var rank = a.Value.size(0);
        a.Gradient = IsPissa ? gradA?.narrow(0, 0, rank).contiguous() : gradA;
        if (b.NeedsGradient) b.Gradient = IsPissa ? gradB.narrow(1, 0, rank).contiguous() : gradB;
        if (magnitude.NeedsGradient) magnitude.Gradient = gradMagnitude;
    }

    /// <summary>Sets the gradient of x; returns that of A, with PiSSA's start.</summary>
    private Tensor? InputGradients(Tensor flatInput, Tensor wideA, Tensor directGradient, Tensor hiddenGradient)
    {
        var addsBaseLast = AddsBaseLast && dropout.IsNone;
        var whole = addsBaseLast && weight.Value is FloatWeight { Tensor: var tensor } ? tensor : null;
        var inputGradient = !X.NeedsGradient ? null : whole is not null ? empty_like(flatInput) : addsBaseLast ? zeros_like(flatInput) : weight.Value.InputGradient(directGradient).to(InputDtype);
        if (inputGradient is not null && whole is not null)
        {
            // One sum, rounded once; where libtorch makes it, its larger part last.
            var sum = new ProductSum();
            sum.Add(hiddenGradient, wideA);
            sum.Add(directGradient, whole);
            sum.WriteTo(inputGradient);
        }

        if (inputGradient is not null && !dropout.IsNone) inputGradient.mul_(dropout.For(flatInput));
        var gradA = LowRankFactor.Gradients(flatInput, [FactorOf(wideA)], [hiddenGradient], whole is null ? inputGradient : null, [a.NeedsGradient])[0];
        if (inputGradient is not null && addsBaseLast && whole is null) weight.Value.AddInputGradient(inputGradient, directGradient);
        X.Gradient = inputGradient?.view(InputShape);
        return gradA;
    }

    /// <summary>The gradients of l, u, m and, where their products are not rounded, of B and H, some rows at a time.</summary>
    private void BackwardByBlocks(Tensor grad, Tensor wideB, Tensor? gained, Tensor directGradient, Tensor gradMagnitude, Tensor gradB, Tensor? hiddenGradient)
    {
        if (Rows == 0)
        {
            gradMagnitude.zero_();
            gradB.zero_();
        }

        var transposed = wideB.to(ProductDtype).t();
        foreach (var (start, count) in ShardOperations.Blocks(grad, Accumulator))
        {
            using var block = NewDisposeScope();
            var rows = new RowRange(start, count);
            var (part, inner, u) = (rows.Of(grad), rows.Of(hidden!.Value), rows.Of(direct!.Value));
            var change = inner.mm(transposed);
            var changeGradient = gained is not null ? rows.Of(gained) : empty(part.shape, dtype: Accumulator, device: part.device);
            if (!TryBackward(part, change, null, u, changeGradient, rows.Of(directGradient), gradMagnitude, null, adds: start > 0))
            {
                var (outer, (gain, directGain)) = (part.to(Accumulator), Gains());
                var combined = ScaledChange(change).add_(u.to(Accumulator), Scalars.Of(dropout.Scale));
                if (RoundedBias is { } added) combined.sub_(added);
                var sum = combined.mul_(outer).sum(dim: 0).div_(norm!.Value);
                if (start == 0) gradMagnitude.copy_(sum);
                else gradMagnitude.add_(sum, Scalars.One);
                rows.Of(directGradient).copy_(outer * directGain);
                changeGradient.copy_(outer * gain);
            }

            if (hiddenGradient is null) continue;
            gradB.addmm_(changeGradient.t(), inner, beta: start == 0 ? 0 : 1);
            rows.Of(hiddenGradient).addmm_(changeGradient, wideB, beta: 0);
        }
    }

    /// <summary>A kernel's sum of l, or of H and B, and u.</summary>
    private bool TryForward(Tensor output, Tensor change, Tensor? right, Tensor u, Tensor? added) => KernelRegistry.TryRun<IGainedSum>(
        0,
        [output, change, right ?? change, u, magnitude.Value, norm!.Value, bias.Optional ?? norm.Value, added ?? output],
        (kernel, m) => kernel.TryForward(m[0], new(m[1], right is null ? default : m[2]), m[3], Columns(m[4], m[5], bias.Optional is null ? default : m[6]), added is null ? default : m[7]));

    /// <summary>A kernel's gradients, that of B only of its factors.</summary>
    private bool TryBackward(Tensor grad, Tensor change, Tensor? right, Tensor u, Tensor changeGradient, Tensor directGradient, Tensor gradMagnitude, Tensor? gradB, bool adds) => KernelRegistry.TryRun<IGainedSum>(
        0,
        [grad, change, right ?? change, u, magnitude.Value, norm!.Value, RoundedBias ?? norm.Value, changeGradient, directGradient, gradMagnitude, gradB ?? gradMagnitude],
        (kernel, m) => kernel.TryBackward(m[0], new(m[1], right is null ? default : m[2]), m[3], Columns(m[4], m[5], RoundedBias is null ? default : m[6]), new(m[7], m[8], m[9], gradB is null ? default : m[10], adds)));

    private GainedColumns Columns(in KernelMatrix m, in KernelMatrix n, in KernelMatrix offset) => new(m, n, offset, HasRoundedProducts, (float)ChangeScale, (float)dropout.Scale, isWhole ? 0 : 1);

    /// <summary>y of some rows, in the accumulator's dtype.</summary>
    private Tensor SumByOperations(Tensor change, Tensor u, Tensor? added)
    {
        var (gain, directGain) = Gains();
        var sum = ScaledChange(change).mul_(gain).add_(u.to(Accumulator) * directGain, Scalars.One);
        if (bias.Optional?.to(Accumulator) is { } offset) sum.add_(HasRoundedProducts ? offset.sub(offset * gain) : offset, Scalars.One);
        return added is null ? sum : sum.add_(added.to(Accumulator), Scalars.One);
    }

    /// <summary>What is left to multiply the product of H and B with.</summary>
    private double ChangeScale => HasRoundedProducts ? scale : 1;

    private bool IsPissa => initialA.Optional is not null;

    /// <summary>The factors of the change of the weight, in the accumulator's dtype: A and B, with PiSSA's start below and beside them.</summary>
    private (Tensor A, Tensor B) Change()
    {
        var (wideA, wideB) = (a.Value.to(Accumulator), b.Value.to(Accumulator));
        return !IsPissa ? (wideA, wideB) : (cat([wideA, initialA.Value.to(Accumulator)], 0), cat([wideB, initialB.Value.to(Accumulator).neg()], 1));
    }

    /// <summary>g = m / ‖V‖, and what multiplies u as it was computed, whose x lacks the factor of the dropout.</summary>
    private (Tensor Gain, Tensor DirectGain) Gains()
    {
        var gain = magnitude.Value.to(Accumulator) / norm!.Value;
        return (gain, (isWhole ? gain : gain.sub(Scalars.One)).mul(Scalars.Of(dropout.Scale)));
    }

    /// <summary>s·l as a new tensor in the accumulator's dtype: libtorch's operations on two dtypes convert one number at a time.</summary>
    private Tensor ScaledChange(Tensor change) => HasRoundedProducts ? change.to(Accumulator).mul_(Scalars.Of(scale)) : change;

    // As in LoRA, rounded H has no scale in it.
    private LowRankFactor FactorOf(Tensor a) => new(a, HasRoundedProducts ? 1 : scale, dropout, ProductDtype);

    private Tensor Kept(Tensor flatInput) => dropout.IsNone ? flatInput : flatInput * dropout.For(flatInput);
}
