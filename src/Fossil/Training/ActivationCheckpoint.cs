using Fossil.Autograd;
using Fossil.Concurrency;
using Fossil.Kernels;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>
/// Recomputes a part of a model in the backward pass, instead of keeping its activations (PyTorch: <c>torch.utils.checkpoint</c>): only the input is kept.
/// </summary>
public static class ActivationCheckpoint
{
    /// <summary>Runs <paramref name="segment"/>; where gradients are recorded, once now and once more in the backward pass, with the same random numbers on the CPU.</summary>
    /// <param name="segment">The part of the model: its input and <paramref name="context"/> to its output. It must compute the same both times, and own neither.</param>
    /// <param name="input">The input, to which a gradient flows where it requires one.</param>
    /// <param name="context">What else the segment reads, such as masks; kept until the backward pass, and without a gradient.</param>
    /// <returns>The output of the segment.</returns>
    public static Tensor Run(Func<Tensor, IReadOnlyList<Tensor?>, Tensor> segment, Tensor input, params Tensor?[] context) =>
        is_grad_enabled() ? AdapterFunction.Run(new RecomputedCall(segment, input, context)) : segment(input, context);

    private sealed class RecomputedCall : AdapterCall
    {
        // The output must require a gradient for the segment's own parameters, even where the input does not.
        private static readonly Parameter Anchor = CreateAnchor();
        private readonly Func<Tensor, IReadOnlyList<Tensor?>, Tensor> segment;
        private readonly CallInput input;
        private readonly CallTensor[] context;
        private CallTensor? randomState;
        private DropoutRows? rows;
        private IReadOnlyDictionary<string, int>? draws;

        public RecomputedCall(Func<Tensor, IReadOnlyList<Tensor?>, Tensor> segment, Tensor input, Tensor?[] context)
        {
            (this.segment, this.input, this.context) = (segment, Input(input), [.. context.Select(Constant)]);
            Input(Anchor);
        }

        private Tensor?[] Context => [.. context.Select(tensor => tensor.Optional)];

        public override Tensor Forward()
        {
            Save(input);
            foreach (var tensor in context) Save(tensor);
            randomState = SaveOwned(random.get_rng_state());
            (rows, draws) = (DropoutRows.Current, DropoutRows.Current?.Draws);
            _ = ModelGuard.TakeLastEntered();
            var output = segment(input.Value, Context);
            // In a model whose own forward pass calls this, the adapted layers of the segment tell which model it is.
            if (Guard is null && ModelGuard.TakeLastEntered() is { } guard) (Guard, Failures) = (guard, guard.Failures);
            return output;
        }

        public override void Backward(Tensor gradOutput)
        {
            using var grad = enable_grad();
            var again = input.Value.detach().requires_grad_(input.NeedsGradient);
            Tensor output;
            using (RandomState.Keep())
            {
                random.set_rng_state(randomState!.Value);
                using var same = rows?.Again(draws!);
                output = segment(again, Context);
            }

            autograd.backward(output, gradOutput);
            if (input.NeedsGradient) input.Gradient = again.grad;
        }

        private static Parameter CreateAnchor()
        {
            var anchor = new Parameter(zeros(1), requires_grad: true);
            anchor.DetachFromDisposeScope();
            return anchor;
        }
    }
}
