using System.Numerics;
using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Miss;

/// <summary>
/// One forward pass of a target with its Bat adapters. W + ΔW is made for the forward pass, let go, and made again for the backward pass, which needs x too.
/// As in PEFT its arithmetic is float32, and a 16-bit x goes through it a block of rows at a time; products in bfloat16 leave the sums in float32, and W + ΔW is rounded once.
/// </summary>
internal sealed class BatCall : TargetCall
{
    private readonly CallWeight weight;
    private readonly CallInput bias;
    private readonly CallInput[] shards;
    private readonly long multiple;

    private BatCall(AdaptedTarget target, Tensor input, BatLayer[] layers)
        : base(target, input)
    {
        (this.weight, this.bias, shards) = (Input(target.Base.Weight), Input(target.Base.Bias), [.. layers.Select(layer => Input(layer.Shard))]);
        multiple = layers.Aggregate(1L, (sofar, layer) => sofar / (long)BigInteger.GreatestCommonDivisor(sofar, layer.ShardSize) * layer.ShardSize);
    }

    /// <summary>The target's output with <paramref name="layers"/>, in order.</summary>
    public static Tensor Run(AdaptedTarget target, Tensor input, IEnumerable<BatLayer> layers) => AdapterFunction.Run(new BatCall(target, input, [.. layers]));

    public override Tensor Forward()
    {
        var output = empty(ShapeWith(weight.Value.OutFeatures), dtype: OutputDtype, device: X.Value.device);
        var (flatInput, flatOutput) = (Flat(X.Value), Flat(output));
        var fullBias = bias.Optional?.to(ProductDtype);
        foreach (var tile in Tiles())
        {
            using var tileScope = NewDisposeScope();
            var (changed, tileBias) = (Weights(tile)[^1].to(ProductDtype), fullBias is null ? null : tile.Of(fullBias));
            foreach (var (start, rows) in ShardOperations.Blocks(flatInput, ProductDtype))
            {
                using var scope = NewDisposeScope();
                tile.ColumnsOf(flatOutput).narrow(0, start, rows).copy_(nn.functional.linear(flatInput.narrow(0, start, rows).to(ProductDtype), changed, tileBias));
            }
        }

        Save(X);
        Save(weight);
        foreach (var shard in shards) Save(shard);
        return output;
    }

    public override void Backward(Tensor gradOutput)
    {
        var (flatInput, flatGrad) = (Flat(X.Value), Flat(gradOutput));
        RowRange[] tiles = [.. Tiles()];
        var isWhole = tiles.Length == 1;
        var inputGradient = !X.NeedsGradient ? null : isWhole ? empty(flatInput.shape, dtype: InputDtype, device: flatInput.device) : zeros(flatInput.shape, dtype: Accumulator, device: flatInput.device);
        var needsWeights = weight.NeedsGradient || bias.NeedsGradient || shards.Any(shard => shard.NeedsGradient);
        List<Tensor>[] parts = [.. shards.Select(_ => new List<Tensor>())];
        foreach (var tile in tiles)
        {
            using var tileScope = NewDisposeScope();
            var weights = Weights(tile);
            var changed = weights[^1].to(ProductDtype);
            var gradient = needsWeights ? zeros(weights[^1].shape, dtype: Accumulator, device: flatInput.device) : null;
            foreach (var (start, rows) in ShardOperations.Blocks(flatInput, ProductDtype))
            {
                using var scope = NewDisposeScope();
                var grad = tile.ColumnsOf(flatGrad).narrow(0, start, rows).to(ProductDtype);
                var part = inputGradient?.narrow(0, start, rows);
                if (isWhole) part?.copy_(grad.mm(changed));
                else part?.add_(grad.mm(changed), Scalars.One);
                gradient?.add_(grad.t().mm(flatInput.narrow(0, start, rows).to(ProductDtype)), Scalars.One);
            }

            if (gradient is not null) AddGradients(gradient, weights, tile, parts);
        }

        X.Gradient = inputGradient?.view(InputShape);
        if (bias.NeedsGradient) bias.Gradient = flatGrad.sum(dim: 0);
        foreach (var (shard, gradients) in shards.Zip(parts).Where(pair => pair.Second.Count > 0)) shard.Gradient = gradients is [var whole] ? whole : cat(gradients, 0);
    }

    /// <summary>Adds the gradients of the shards' blocks in a tile to <paramref name="parts"/>, given that of the changed weight, and sets that of the weight itself.</summary>
    private void AddGradients(Tensor gradient, Tensor[] weights, RowRange tile, List<Tensor>[] parts)
    {
        for (var level = shards.Length - 1; level >= 0; level--)
        {
            var (shardGradient, weightGradient) = BatBlocks.Gradients(gradient, weights[level], BlocksOf(level, tile), ProductDtype);
            if (shards[level].NeedsGradient) parts[level].Add(shardGradient.MoveToOuterDisposeScope());
            gradient = weightGradient;
        }

        if (weight.NeedsGradient) weight.Gradient = gradient.MoveToOuterDisposeScope();
    }

    /// <summary>The tile of the weight before the first adapter, after it, after the second, ….</summary>
    private Tensor[] Weights(RowRange tile)
    {
        var weights = new Tensor[shards.Length + 1];
        weights[0] = weight.Value.Rows(tile.Start, tile.Count).to(Accumulator).contiguous();
        for (var i = 0; i < shards.Length; i++) weights[i + 1] = BatBlocks.Apply(weights[i], BlocksOf(i, tile), ProductDtype);
        return weights;
    }

    /// <summary>D of the row blocks in a tile, (rows of the tile / r, r, r).</summary>
    private Tensor BlocksOf(int level, RowRange tile)
    {
        var shard = shards[level].Value;
        var size = shard.shape[1];
        return new RowRange(tile.Start / size, tile.Count / size).Of(shard).to(Accumulator);
    }

    /// <summary>Row blocks change by themselves, so a weight that is not written out needs to be so only a few at a time.</summary>
    private IEnumerable<RowRange> Tiles() => weight.Value.Tiles(multiple);
}
