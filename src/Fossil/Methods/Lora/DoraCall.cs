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
internal sealed class DoraCall : AdapterCall
{
    private readonly long[] inputShape;
    private readonly long rows;
    private readonly double scale;
    private readonly DropoutMask dropout;
    private readonly bool isWhole;
    private readonly ScalarType accumulator;

    // Set for the forward pass only: autograd keeps what the backward pass needs.
    private Tensor? input;
    private Tensor? weight;
    private Tensor? bias;
    private Tensor? addend;
    private Tensor? factorA;
    private Tensor? factorB;
    private Tensor? magnitude;
    private (Tensor A, Tensor B)? initial;

    private DoraCall(Tensor input, Tensor weight, Tensor? bias, Tensor? addend, DoraLayer layer, DropoutMask dropout)
    {
        (this.input, this.weight, this.bias, this.addend) = (input, weight, bias, addend);
        (factorA, factorB, magnitude) = (layer.A, layer.B, layer.Magnitude);
        initial = layer.IsPissa ? (layer.InitialA, layer.InitialB) : null;
        this.dropout = dropout;
        isWhole = addend is null;
        scale = layer.Scale;
        inputShape = input.shape;
        rows = ShardOperations.Rows(inputShape);
        accumulator = ShardOperations.Accumulator(input.dtype);
    }

    public override IReadOnlyList<Tensor?> Inputs => [input, weight, bias, addend, factorA, factorB, magnitude];

    /// <summary>The target's output with <paramref name="layer"/>.</summary>
    public static Tensor Run(AdaptedTarget target, Tensor input, DoraLayer layer)
    {
        // With dropout the base sees x and the adapter's two products see what is left of it, so that they are no longer one product.
        var dropout = DropoutMask.Draw(layer.Config.Dropout, target.Module);
        if (dropout.IsNone && target.FrozenLinear is (var weight, var bias))
            return AdapterFunction.Run(new DoraCall(input, weight, bias, null, layer, dropout));

        using var output = target.Module.forward(input);
        return AddTo(output, target, input, layer, dropout);
    }

    /// <summary><paramref name="output"/> plus what <paramref name="layer"/> adds to the base's.</summary>
    public static Tensor AddTo(Tensor output, AdaptedTarget target, Tensor input, DoraLayer layer) => AddTo(output, target, input, layer, DropoutMask.Draw(layer.Config.Dropout, target.Module));

    private static Tensor AddTo(Tensor output, AdaptedTarget target, Tensor input, DoraLayer layer, DropoutMask dropout)
    {
        if (!layer.IsPissa || dropout.IsNone) return AdapterFunction.Run(new DoraCall(input, target.Weight, null, output, layer, dropout));

        // In the given output PiSSA's part is still the weight's, which sees x without dropout.
        var rows = ShardOperations.Rows(input.shape);
        using var residual = LoraCall.AddTo(output, input, [LoraTerm.Initial(layer, -layer.Scale, 0, rows, DropoutMask.None), LoraTerm.Initial(layer, layer.Scale, 0, rows, dropout)]);
        return AdapterFunction.Run(new DoraCall(input, target.Weight, null, residual, layer, dropout));
    }

    public override Tensor Forward()
    {
        var flatInput = Flat(input!);
        var (a, b) = Change(factorA!, factorB!, initial?.A, initial?.B);
        var norm = DoraNorm.Compute(weight!, a, b, scale);
        var direct = nn.functional.linear(Kept(flatInput), weight!);
        var hidden = LoraFactor.Hidden(flatInput, [FactorOf(a)])[0];
        var output = empty([.. inputShape[..^1], weight!.shape[0]], dtype: flatInput.dtype, device: flatInput.device);
        var (flatOutput, flatAddend) = (Flat(output), addend is null ? null : Flat(addend));
        var gain = magnitude!.to(accumulator) / norm;
        var (directGain, offset) = (isWhole ? gain : gain.sub(Scalars.One), bias?.to(accumulator));
        var transposed = b.t();
        foreach (var (start, count) in ShardOperations.Blocks(flatOutput, accumulator))
        {
            using var block = NewDisposeScope();
            var sum = hidden.narrow(0, start, count).mm(transposed).mul_(gain);
            sum.add_(direct.narrow(0, start, count) * directGain.mul(Scalars.Of(dropout.Scale)), Scalars.One);
            if (offset is not null) sum.add_(offset, Scalars.One);
            if (flatAddend is not null) sum.add_(flatAddend.narrow(0, start, count), Scalars.One);
            flatOutput.narrow(0, start, count).copy_(sum);
        }

        Save(input);
        Save(weight);
        SaveOwned(direct);
        SaveOwned(hidden);
        SaveOwned(norm);
        Save(factorA);
        Save(factorB);
        Save(magnitude);
        Save(initial?.A);
        Save(initial?.B);
        return output;
    }

    public override Tensor?[] Backward(Tensor gradOutput, IReadOnlyList<Tensor?> saved)
    {
        var (flatInput, baseWeight, direct, hidden, norm) = (Flat(saved[0]!), saved[1]!, saved[2]!, saved[3]!, saved[4]!);
        var (a, b, m) = (saved[5]!, saved[6]!, saved[7]!);
        var (wideA, wideB) = Change(a, b, saved[8], saved[9]);
        var (rank, grad) = (a.shape[0], Flat(gradOutput));
        var gain = m.to(accumulator) / norm;
        var directGain = (isWhole ? gain : gain.sub(Scalars.One)).mul(Scalars.Of(dropout.Scale));

        var directGradient = empty_like(direct);
        var hiddenGradient = empty_like(hidden);
        var (gradB, gradMagnitude) = (zeros_like(wideB), zeros_like(norm));
        foreach (var (start, count) in ShardOperations.Blocks(grad, accumulator))
        {
            using var block = NewDisposeScope();
            var (outer, inner) = (grad.narrow(0, start, count).to(accumulator), hidden.narrow(0, start, count));
            var combined = inner.mm(wideB.t()).add_(direct.narrow(0, start, count).mul(Scalars.Of(dropout.Scale)), Scalars.One);
            gradMagnitude.add_(combined.mul_(outer).sum(dim: 0).div_(norm), Scalars.One);
            var scaled = outer * gain;
            gradB.addmm_(scaled.t(), inner);
            hiddenGradient.narrow(0, start, count).addmm_(scaled, wideB, beta: 0);
            directGradient.narrow(0, start, count).copy_(outer * directGain);
        }

        var inputGradient = Needs[0] ? directGradient.mm(baseWeight) : null;
        if (inputGradient is not null && !dropout.IsNone) inputGradient.mul_(dropout.For(flatInput));
        var gradA = LoraFactor.Gradients(flatInput, [FactorOf(wideA)], [hiddenGradient], inputGradient, [Needs[4]])[0];
        return
        [
            inputGradient?.view(inputShape),
            Needs[1] ? directGradient.t().mm(Kept(flatInput)) : null,
            Needs[2] ? grad.sum(dim: 0) : null,
            Needs[3] ? gradOutput.alias() : null,
            gradA?.narrow(0, 0, rank).to(a.dtype).contiguous(),
            Needs[5] ? gradB.narrow(1, 0, rank).to(b.dtype).contiguous() : null,
            Needs[6] ? gradMagnitude.to(m.dtype) : null,
        ];
    }

    internal override void ReleaseInputs()
    {
        input = weight = bias = addend = factorA = factorB = magnitude = null;
        initial = null;
    }

    /// <summary>The factors of the change of the weight, in the accumulator's dtype: A and B, with PiSSA's start below and beside them.</summary>
    private (Tensor A, Tensor B) Change(Tensor a, Tensor b, Tensor? initialA, Tensor? initialB)
    {
        var (wideA, wideB) = (a.to(accumulator), b.to(accumulator));
        return initialA is null || initialB is null ? (wideA, wideB) : (cat([wideA, initialA.to(accumulator)], 0), cat([wideB, initialB.to(accumulator).neg()], 1));
    }

    private LoraFactor FactorOf(Tensor a) => new(a, scale, dropout);

    private Tensor Flat(Tensor tensor) => tensor.reshape(rows, tensor.shape[^1]).contiguous();

    private Tensor Kept(Tensor flatInput) => dropout.IsNone ? flatInput : flatInput * dropout.For(flatInput);
}
