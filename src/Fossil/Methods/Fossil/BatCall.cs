using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Fossil;

/// <summary>
/// One forward pass of a target with its Bat adapters. W + ΔW is made for the forward pass, let go, and made again for the backward pass, which needs x too.
/// As in PEFT the arithmetic is float32; a 16-bit x goes through it a block of rows at a time.
/// </summary>
internal sealed class BatCall : TargetCall
{
    private readonly CallInput weight;
    private readonly CallInput bias;
    private readonly CallInput[] shards;

    private BatCall(Tensor input, Tensor weight, Tensor? bias, IEnumerable<BatLayer> layers)
        : base(input) => (this.weight, this.bias, shards) = (Input(weight), Input(bias), [.. layers.Select(layer => Input(layer.Shard))]);

    /// <summary>The target's output with <paramref name="layers"/>, in order.</summary>
    public static Tensor Run(AdaptedTarget target, Tensor input, IEnumerable<BatLayer> layers) => AdapterFunction.Run(new BatCall(input, target.Weight, target.Bias, layers));

    public override Tensor Forward()
    {
        var changed = Weights()[^1];
        var output = empty(ShapeWith(changed.shape[0]), dtype: InputDtype, device: X.Value.device);
        var (flatInput, flatOutput) = (Flat(X.Value), Flat(output));
        var fullBias = bias.Optional?.to(Accumulator);
        foreach (var (start, rows) in ShardOperations.Blocks(flatInput, Accumulator))
        {
            using var scope = NewDisposeScope();
            flatOutput.narrow(0, start, rows).copy_(nn.functional.linear(flatInput.narrow(0, start, rows).to(Accumulator), changed, fullBias));
        }

        Save(X);
        Save(weight);
        foreach (var shard in shards) Save(shard);
        return output;
    }

    public override void Backward(Tensor gradOutput)
    {
        var weights = Weights();
        var (flatInput, flatGrad) = (Flat(X.Value), Flat(gradOutput));
        var inputGradient = X.NeedsGradient ? empty(flatInput.shape, dtype: InputDtype, device: flatInput.device) : null;
        var gradient = weight.NeedsGradient || bias.NeedsGradient || shards.Any(shard => shard.NeedsGradient) ? zeros(weights[^1].shape, dtype: Accumulator, device: flatInput.device) : null;
        foreach (var (start, rows) in ShardOperations.Blocks(flatInput, Accumulator))
        {
            using var scope = NewDisposeScope();
            var grad = flatGrad.narrow(0, start, rows).to(Accumulator);
            inputGradient?.narrow(0, start, rows).copy_(grad.mm(weights[^1]));
            gradient?.addmm_(grad.t(), flatInput.narrow(0, start, rows).to(Accumulator));
        }

        X.Gradient = inputGradient?.view(InputShape);
        if (bias.NeedsGradient) bias.Gradient = flatGrad.sum(dim: 0);
        if (gradient is null) return;
        for (var level = shards.Length - 1; level >= 0; level--)
        {
            var (shardGradient, weightGradient) = BatBlocks.Gradients(gradient, weights[level], shards[level].Value.to(Accumulator));
            if (shards[level].NeedsGradient) shards[level].Gradient = shardGradient;
            gradient = weightGradient;
        }

        if (weight.NeedsGradient) weight.Gradient = gradient;
    }

    /// <summary>The weight before the first adapter, after it, after the second, ….</summary>
    private Tensor[] Weights()
    {
        var weights = new Tensor[shards.Length + 1];
        weights[0] = weight.Value.to(Accumulator).contiguous();
        for (var i = 0; i < shards.Length; i++) weights[i + 1] = BatBlocks.Apply(weights[i], shards[i].Value.to(Accumulator));
        return weights;
    }
}
