using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Concurrency;
using Fossil.Kernels;
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
        var transposed = wideB.to(ProductDtype).t();
        direct = SaveOwned(w.Product(Kept(flatInput).to(OutputDtype), RoundedBias));
        var output = empty(ShapeWith(w.OutFeatures), dtype: OutputDtype, device: flatInput.device);
        var (flatOutput, flatAddend) = (Flat(output), addend.Optional is { } given ? Flat(given) : null);
        var (gain, directGain) = Gains();
        var offset = bias.Optional?.to(Accumulator);
        if (RoundedBias is not null) offset = offset!.sub(offset * gain);
        var factors = Factors(gain * Scalars.Of(ChangeScale), directGain, offset);
        foreach (var (start, count) in ShardOperations.Blocks(flatOutput, Accumulator))
        {
            using var block = NewDisposeScope();
            if (flatAddend is null && KernelRegistry.TryRun<IGainedSum>(0, [flatOutput.narrow(0, start, count), ProductOf(start, count, transposed), direct.Value.narrow(0, start, count), factors], static (kernel, m) => kernel.TryForward(m[0], m[1], m[2], m[3]))) continue;
            var sum = ChangeOf(start, count, transposed).mul_(gain).add_(DirectOf(start, count) * directGain, Scalars.One);
            if (offset is not null) sum.add_(offset, Scalars.One);
            if (flatAddend is not null) sum.add_(flatAddend.narrow(0, start, count).to(Accumulator), Scalars.One);
            flatOutput.narrow(0, start, count).copy_(sum);
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
        var (gain, directGain) = Gains();

        var directGradient = empty_like(direct!.Value);
        var hiddenGradient = empty_like(hidden!.Value);
        var gradB = zeros_like(wideB);

        // g ⊙ dy, whole where its products are in its own dtype, to be rounded once.
        var gained = !HasRoundedProducts ? null : isWhole ? directGradient : empty_like(directGradient);
        var (productB, transposed) = (wideB.to(ProductDtype), wideB.to(ProductDtype).t());
        var factors = Factors(full_like(gain, Scalars.Of(ChangeScale)), full_like(gain, Scalars.Of(dropout.Scale)), RoundedBias?.to(Accumulator).neg(), gain, directGain);
        var sums = zeros_like(norm!.Value).unsqueeze_(0);
        foreach (var (start, count) in ShardOperations.Blocks(grad, Accumulator))
        {
            using var block = NewDisposeScope();
            var (part, inner) = (grad.narrow(0, start, count), hidden.Value.narrow(0, start, count));
            var changeGradient = gained?.narrow(0, start, count) ?? empty(part.shape, dtype: Accumulator, device: part.device);
            if (KernelRegistry.TryRun<IGainedSum>(0, [part, ProductOf(start, count, transposed), direct.Value.narrow(0, start, count), factors, changeGradient, directGradient.narrow(0, start, count), sums], static (kernel, m) => kernel.TryBackward(m[0], m[1], m[2], m[3], m[4], m[5], m[6])))
            {
                if (gained is null) AddProducts(changeGradient, inner, start, count);
                continue;
            }

            var outer = part.to(Accumulator);
            var combined = ChangeOf(start, count, transposed).add_(DirectOf(start, count), Scalars.Of(dropout.Scale));
            if (RoundedBias is { } added) combined.sub_(added);
            sums.add_(combined.mul_(outer).sum(dim: 0), Scalars.One);
            var scaled = outer * gain;
            directGradient.narrow(0, start, count).copy_(outer * directGain);
            if (gained is not null)
            {
                if (!isWhole) gained.narrow(0, start, count).copy_(scaled);
                continue;
            }

            AddProducts(scaled, inner, start, count);
        }

        var gradMagnitude = sums.squeeze_(0).div_(norm.Value);

        if (gained is not null)
        {
            gradB.add_(gained.t().mm(hidden.Value), Scalars.Of(scale));
            hiddenGradient.addmm_(gained, productB, beta: 0, alpha: (float)scale);
        }

        var addsBaseLast = AddsBaseLast && dropout.IsNone;
        var inputGradient = !X.NeedsGradient ? null : addsBaseLast ? zeros_like(flatInput) : weight.Value.InputGradient(directGradient).to(InputDtype);
        if (inputGradient is not null && !dropout.IsNone) inputGradient.mul_(dropout.For(flatInput));
        var (rank, gradA) = (a.Value.size(0), LowRankFactor.Gradients(flatInput, [FactorOf(wideA)], [hiddenGradient], inputGradient, [a.NeedsGradient])[0]);
        if (addsBaseLast && inputGradient is not null) weight.Value.AddInputGradient(inputGradient, directGradient);
        X.Gradient = inputGradient?.view(InputShape);
        if (weight.NeedsGradient) weight.Gradient = directGradient.t().mm(Kept(flatInput).to(OutputDtype));
        if (bias.NeedsGradient) bias.Gradient = grad.sum(dim: 0);
        if (addend.NeedsGradient) addend.Gradient = gradOutput.alias();
        a.Gradient = gradA?.narrow(0, 0, rank).contiguous();
        if (b.NeedsGradient) b.Gradient = gradB.narrow(1, 0, rank).contiguous();
        if (magnitude.NeedsGradient) magnitude.Gradient = gradMagnitude;

        void AddProducts(Tensor scaled, Tensor inner, long start, long count)
        {
            gradB.addmm_(scaled.t(), inner);
            hiddenGradient.narrow(0, start, count).addmm_(scaled, wideB, beta: 0);
        }
    }

    /// <summary>What is left to multiply the product of H and B with.</summary>
    private double ChangeScale => HasRoundedProducts ? scale : 1;

    /// <summary>The factors of a kernel's columns; where one is missing, zeros.</summary>
    private static Tensor Factors(Tensor first, params ReadOnlySpan<Tensor?> others)
    {
        var rows = new Tensor[others.Length + 1];
        rows[0] = first;
        for (var i = 0; i < others.Length; i++) rows[i + 1] = others[i] ?? zeros_like(first);
        return stack(rows);
    }

    /// <summary>The factors of the change of the weight, in the accumulator's dtype: A and B, with PiSSA's start below and beside them.</summary>
    private (Tensor A, Tensor B) Change()
    {
        var (wideA, wideB) = (a.Value.to(Accumulator), b.Value.to(Accumulator));
        return initialA.Optional is null ? (wideA, wideB) : (cat([wideA, initialA.Value.to(Accumulator)], 0), cat([wideB, initialB.Value.to(Accumulator).neg()], 1));
    }

    /// <summary>g = m / ‖V‖, and what multiplies u as it was computed, whose x lacks the factor of the dropout.</summary>
    private (Tensor Gain, Tensor DirectGain) Gains()
    {
        var gain = magnitude.Value.to(Accumulator) / norm!.Value;
        return (gain, (isWhole ? gain : gain.sub(Scalars.One)).mul(Scalars.Of(dropout.Scale)));
    }

    /// <summary>What the factors add to some rows of u, without dropout's zeros: a new tensor in the accumulator's dtype.</summary>
    private Tensor ChangeOf(long start, long count, Tensor transposed)
    {
        var change = ProductOf(start, count, transposed);
        return HasRoundedProducts ? change.to(Accumulator).mul_(Scalars.Of(scale)) : change;
    }

    /// <summary>Some rows of H Bᵀ.</summary>
    private Tensor ProductOf(long start, long count, Tensor transposed) => hidden!.Value.narrow(0, start, count).mm(transposed);

    /// <summary>Some rows of u in the accumulator's dtype: libtorch's operations on two dtypes convert one number at a time.</summary>
    private Tensor DirectOf(long start, long count) => direct!.Value.narrow(0, start, count).to(Accumulator);

    // As in LoRA, rounded H has no scale in it.
    private LowRankFactor FactorOf(Tensor a) => new(a, HasRoundedProducts ? 1 : scale, dropout, ProductDtype);

    private Tensor Kept(Tensor flatInput) => dropout.IsNone ? flatInput : flatInput * dropout.For(flatInput);
}
