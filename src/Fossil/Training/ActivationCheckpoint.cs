using Fossil.Autograd;
using Fossil.Concurrency;
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

    private sealed class RecomputedCall(Func<Tensor, IReadOnlyList<Tensor?>, Tensor> segment, Tensor input, Tensor?[] context) : AdapterCall
    {
        // The output must require a gradient for the segment's own parameters, even where the input does not.
        private static readonly Parameter Anchor = CreateAnchor();
        private Tensor? input = input;
        private Tensor?[] context = context;
        private Tensor? randomState;

        public override IReadOnlyList<Tensor?> Inputs => [input, Anchor];

        public override Tensor Forward()
        {
            Save(input);
            foreach (var tensor in context) Save(tensor);
            randomState = random.get_rng_state();
            SaveOwned(randomState);
            _ = ModelGuard.TakeLastEntered();
            var output = segment(input!, context);
            // In a model whose own forward pass calls this, the adapted layers of the segment tell which model it is.
            if (Guard is null && ModelGuard.TakeLastEntered() is { } guard) (Guard, Failures) = (guard, guard.Failures);
            return output;
        }

        public override Tensor?[] Backward(Tensor gradOutput, IReadOnlyList<Tensor?> saved)
        {
            using var grad = enable_grad();
            var again = saved[0]!.detach().requires_grad_(Needs[0]);
            Tensor output;
            using (RandomState.Keep())
            {
                random.set_rng_state(saved[^1]!);
                output = segment(again, [.. saved.Skip(1).SkipLast(1)]);
            }

            autograd.backward(output, gradOutput);
            return [Needs[0] ? again.grad : null, null];
        }

        internal override void ReleaseInputs() => (input, context, randomState) = (null, [], null);

        private static Parameter CreateAnchor()
        {
            var anchor = new Parameter(zeros(1), requires_grad: true);
            anchor.DetachFromDisposeScope();
            return anchor;
        }
    }
}
