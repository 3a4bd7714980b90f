using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Fossil;

/// <summary>
/// One forward pass of a target with its Bat adapters. W + ΔW is made for the forward pass, let go, and made again for the backward pass, which needs x too.
/// As in PEFT the arithmetic is float32; a 16-bit x goes through it a block of rows at a time.
/// </summary>
internal sealed class BatCall(Tensor input, Tensor weight, Tensor? bias, Tensor[] shards) : AdapterCall
{
    private const int FirstShard = 3;

    private readonly int count = shards.Length;
    private readonly ScalarType accumulator = ShardOperations.Accumulator(weight.dtype);

    // Set for the forward pass only: autograd keeps what the backward pass needs.
    private Tensor? input = input;
    private Tensor? weight = weight;
    private Tensor? bias = bias;
    private Tensor[] shards = shards;

    public override IReadOnlyList<Tensor?> Inputs => [input, weight, bias, .. shards];

    /// <summary>The target's output with <paramref name="layers"/>, in order.</summary>
    public static Tensor Run(AdaptedTarget target, Tensor input, IEnumerable<BatLayer> layers) =>
        AdapterFunction.Run(new BatCall(input, target.Weight, target.Bias, [.. layers.Select(layer => layer.Shard)]));

    public override Tensor Forward()
    {
        var changed = Weights(weight!, shards)[^1];
        var output = empty([.. input!.shape[..^1], changed.shape[0]], dtype: input.dtype, device: input.device);
        var (flatInput, flatOutput) = (Flat(input), Flat(output));
        var fullBias = bias?.to(accumulator);
        foreach (var (start, rows) in ShardOperations.Blocks(flatInput, accumulator))
        {
            using var scope = NewDisposeScope();
            flatOutput.narrow(0, start, rows).copy_(nn.functional.linear(flatInput.narrow(0, start, rows).to(accumulator), changed, fullBias));
        }

        Save(input);
        Save(weight);
        foreach (var shard in shards) Save(shard);
        return output;
    }

    public override Tensor?[] Backward(Tensor gradOutput, IReadOnlyList<Tensor?> saved)
    {
        var (savedInput, savedShards) = (saved[0]!, saved.Skip(2).Select(shard => shard!).ToArray());
        var weights = Weights(saved[1]!, savedShards);
        var gradients = new Tensor?[FirstShard + count];
        var (flatInput, flatGrad) = (Flat(savedInput), Flat(gradOutput));

        var inputGradient = Needs[0] ? empty(flatInput.shape, dtype: savedInput.dtype, device: savedInput.device) : null;
        var gradient = Array.IndexOf(Needs, true, 1) >= 0 ? zeros(weights[^1].shape, dtype: accumulator, device: savedInput.device) : null;
        foreach (var (start, rows) in ShardOperations.Blocks(flatInput, accumulator))
        {
            using var scope = NewDisposeScope();
            var grad = flatGrad.narrow(0, start, rows).to(accumulator);
            inputGradient?.narrow(0, start, rows).copy_(grad.mm(weights[^1]));
            gradient?.addmm_(grad.t(), flatInput.narrow(0, start, rows).to(accumulator));
        }

        gradients[0] = inputGradient?.view(savedInput.shape);
        gradients[2] = Needs[2] ? flatGrad.sum(dim: 0) : null;
        if (gradient is null) return gradients;
        for (var level = count - 1; level >= 0; level--)
        {
            var (shardGradient, weightGradient) = BatBlocks.Gradients(gradient, weights[level], savedShards[level].to(accumulator));
            if (Needs[FirstShard + level]) gradients[FirstShard + level] = shardGradient.to(savedShards[level].dtype);
            gradient = weightGradient;
        }

        gradients[1] = Needs[1] ? gradient.to(saved[1]!.dtype) : null;
        return gradients;
    }

    internal override void ReleaseInputs()
    {
        input = weight = bias = null;
        shards = [];
    }

    /// <summary>The weight before the first adapter, after it, after the second, ….</summary>
    private Tensor[] Weights(Tensor weight, Tensor[] shards)
    {
        var weights = new Tensor[shards.Length + 1];
        weights[0] = weight.to(accumulator).contiguous();
        for (var i = 0; i < shards.Length; i++) weights[i + 1] = BatBlocks.Apply(weights[i], shards[i].to(accumulator));
        return weights;
    }

    private static Tensor Flat(Tensor tensor) => tensor.reshape(ShardOperations.Rows(tensor.shape), tensor.shape[^1]).contiguous();
}
