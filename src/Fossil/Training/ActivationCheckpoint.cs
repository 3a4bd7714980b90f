using Fossil.Autograd;
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
        private static readonly Tensor Anchor = CreateAnchor();
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
            return segment(input!, context);
        }

        public override Tensor?[] Backward(Tensor gradOutput, IReadOnlyList<Tensor?> saved)
        {
            using var grad = enable_grad();
            var after = random.get_rng_state();
            random.set_rng_state(saved[^1]!);
            var again = saved[0]!.detach().requires_grad_(Needs[0]);
            var output = segment(again, [.. saved.Skip(1).SkipLast(1)]);
            random.set_rng_state(after);
            autograd.backward(output, gradOutput);
            return [Needs[0] ? again.grad : null, null];
        }

        internal override void ReleaseInputs() => (input, context, randomState) = (null, [], null);

        private static Tensor CreateAnchor()
        {
            using var scope = NewDisposeScope();
            return zeros(1, requires_grad: true).DetachFromDisposeScope();
        }
    }
}
