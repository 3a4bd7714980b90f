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

    // What the forward pass keeps: u, H = s·drop(x) Aᵀ, ‖V‖.
    private CallTensor? direct;
    private CallTensor? hidden;
    private CallTensor? norm;

    private DoraCall(Tensor input, LinearWeight weight, Tensor? bias, Tensor? addend, DoraLayer layer, DropoutMask dropout)
        : base(input)
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
        var dropout = DropoutMask.Draw(layer.Config.Dropout, target.Module);
        if (dropout.IsNone && target.Base.Frozen is { } weight)
            return AdapterFunction.Run(new DoraCall(input, weight, target.Base.Bias, null, layer, dropout));

        using var output = target.Base.Forward(input);
        return AddTo(output, target, input, layer, dropout);
    }

    /// <summary><paramref name="output"/> plus what <paramref name="layer"/> adds to the base's.</summary>
    public static Tensor AddTo(Tensor output, AdaptedTarget target, Tensor input, DoraLayer layer) => AddTo(output, target, input, layer, DropoutMask.Draw(layer.Config.Dropout, target.Module));

    private static Tensor AddTo(Tensor output, AdaptedTarget target, Tensor input, DoraLayer layer, DropoutMask dropout)
    {
        if (!layer.IsPissa || dropout.IsNone) return AdapterFunction.Run(new DoraCall(input, target.Base.Weight, null, output, layer, dropout));

        // In the given output PiSSA's part is still the weight's, which sees x without dropout.
        var rows = RowRange.All(input);
        using var residual = LoraCall.AddTo(output, input, [LoraTerm.Initial(layer, -layer.Scale, rows, DropoutMask.None), LoraTerm.Initial(layer, layer.Scale, rows, dropout)]);
        return AdapterFunction.Run(new DoraCall(input, target.Base.Weight, null, residual, layer, dropout));
    }

    public override Tensor Forward()
    {
        var flatInput = Flat(X.Value);
        var (wideA, wideB) = Change();
        var w = weight.Value;
        norm = SaveOwned(w.RowNorms(wideA, wideB, scale));
        direct = SaveOwned(w.Product(Kept(flatInput), bias: null));
        hidden = SaveOwned(LowRankFactor.Hidden(flatInput, [FactorOf(wideA)])[0]);
        var output = empty(ShapeWith(w.OutFeatures), dtype: InputDtype, device: flatInput.device);
        var (flatOutput, flatAddend) = (Flat(output), addend.Optional is { } given ? Flat(given) : null);
        var (gain, directGain) = Gains();
        var (offset, transposed) = (bias.Optional?.to(Accumulator), wideB.t());
        foreach (var (start, count) in ShardOperations.Blocks(flatOutput, Accumulator))
        {
            using var block = NewDisposeScope();
            var sum = hidden.Value.narrow(0, start, count).mm(transposed).mul_(gain);
            sum.add_(direct.Value.narrow(0, start, count) * directGain, Scalars.One);
            if (offset is not null) sum.add_(offset, Scalars.One);
            if (flatAddend is not null) sum.add_(flatAddend.narrow(0, start, count), Scalars.One);
            flatOutput.narrow(0, start, count).copy_(sum);
        }

        Save(weight);
        foreach (var tensor in (CallTensor[])[X, a, b, magnitude, initialA, initialB]) Save(tensor);
        return output;
    }

    public override void Backward(Tensor gradOutput)
    {
        var (flatInput, grad) = (Flat(X.Value), Flat(gradOutput));
        var (wideA, wideB) = Change();
        var (gain, directGain) = Gains();

        var directGradient = empty_like(direct!.Value);
        var hiddenGradient = empty_like(hidden!.Value);
        var (gradB, gradMagnitude) = (zeros_like(wideB), zeros_like(norm!.Value));
        foreach (var (start, count) in ShardOperations.Blocks(grad, Accumulator))
        {
            using var block = NewDisposeScope();
            var (outer, inner) = (grad.narrow(0, start, count).to(Accumulator), hidden.Value.narrow(0, start, count));
            var combined = inner.mm(wideB.t()).add_(direct.Value.narrow(0, start, count).mul(Scalars.Of(dropout.Scale)), Scalars.One);
            gradMagnitude.add_(combined.mul_(outer).sum(dim: 0).div_(norm.Value), Scalars.One);
            var scaled = outer * gain;
            gradB.addmm_(scaled.t(), inner);
            hiddenGradient.narrow(0, start, count).addmm_(scaled, wideB, beta: 0);
            directGradient.narrow(0, start, count).copy_(outer * directGain);
        }

        var inputGradient = X.NeedsGradient ? weight.Value.InputGradient(directGradient) : null;
        if (inputGradient is not null && !dropout.IsNone) inputGradient.mul_(dropout.For(flatInput));
        var (rank, gradA) = (a.Value.shape[0], LowRankFactor.Gradients(flatInput, [FactorOf(wideA)], [hiddenGradient], inputGradient, [a.NeedsGradient])[0]);
        X.Gradient = inputGradient?.view(InputShape);
        if (weight.NeedsGradient) weight.Gradient = directGradient.t().mm(Kept(flatInput));
        if (bias.NeedsGradient) bias.Gradient = grad.sum(dim: 0);
        if (addend.NeedsGradient) addend.Gradient = gradOutput.alias();
        a.Gradient = gradA?.narrow(0, 0, rank).contiguous();
        if (b.NeedsGradient) b.Gradient = gradB.narrow(1, 0, rank).contiguous();
        if (magnitude.NeedsGradient) magnitude.Gradient = gradMagnitude;
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

    private LowRankFactor FactorOf(Tensor a) => new(a, scale, dropout);

    private Tensor Kept(Tensor flatInput) => dropout.IsNone ? flatInput : flatInput * dropout.For(flatInput);
}
