using System.Numerics;
using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Concurrency;
using Fossil.Kernels;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Methods.Miss;

/// <summary>
/// One forward pass of a target with its Bat adapters. W + ΔW is made for the forward pass, let go, and made again for the backward pass, which needs x too.
/// As in PEFT its arithmetic is float32, and a 16-bit x goes through it a block of rows at a time; products in bfloat16 leave the sums in float32, and W + ΔW is rounded once.
/// </summary>
internal sealed class BatCall : TargetCall
{
    // How much of the weight is changed at a time: in float32 four megabytes.
    private const long TileElements = 1 << 20;

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
        var flatInput = Flat(X.Value);
        var offset = bias.Optional?.to(ProductDtype);
        RowRange[] tiles = [.. Tiles()];
        Tensor output;
        if (tiles.Length == 1 && flatInput.dtype == ProductDtype)
        {
            output = new FloatWeight(Changed(Weights(tiles[0]))).Product(flatInput, offset).view(ShapeWith(weight.Value.OutFeatures)).detach();
        }
        else
        {
            output = empty(ShapeWith(weight.Value.OutFeatures), dtype: OutputDtype, device: flatInput.device);
            var flatOutput = Flat(output);
            foreach (var tile in tiles)
            {
                using var tileScope = NewDisposeScope();
                var (changed, tileBias) = (Changed(Weights(tile)), offset is null ? null : tile.Of(offset));
                foreach (var (start, rows) in ShardOperations.Blocks(flatInput, ProductDtype))
                {
                    using var scope = NewDisposeScope();
                    tile.ColumnsOf(flatOutput).narrow(0, start, rows).copy_(nn.functional.linear(flatInput.narrow(0, start, rows).to(ProductDtype), changed, tileBias));
                }
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
        var isProduct = isWhole && InputDtype == ProductDtype;
        var inputGradient = !X.NeedsGradient || isProduct ? null : isWhole ? empty(flatInput.shape, dtype: InputDtype, device: flatInput.device) : zeros(flatInput.shape, dtype: Accumulator, device: flatInput.device);
        var needsWeights = weight.NeedsGradient || shards.Any(shard => shard.NeedsGradient);
        List<Tensor>[] parts = [.. shards.Select(_ => new List<Tensor>())];
        List<Tensor> weightParts = [];
        foreach (var tile in tiles)
        {
            using var tileScope = NewDisposeScope();
            var weights = Weights(tile);
            var changed = Changed(weights);
            if (X.NeedsGradient && isProduct) inputGradient = new FloatWeight(changed).InputGradient(flatGrad.to(ProductDtype)).MoveToOuterDisposeScope();
            var gradient = needsWeights ? empty(changed.shape, dtype: ProductDtype, device: flatInput.device) : null;
            foreach (var (start, rows) in ShardOperations.Blocks(flatInput, ProductDtype))
            {
                using var scope = NewDisposeScope();
                var grad = tile.ColumnsOf(flatGrad).narrow(0, start, rows).to(ProductDtype);
                var part = isProduct ? null : inputGradient?.narrow(0, start, rows);
                if (part?.dtype == ProductDtype) part.addmm_(grad, changed);
                else if (isWhole) part?.copy_(grad.mm(changed));
                else part?.add_(grad.mm(changed), Scalars.One);
                gradient?.addmm_(grad.t(), flatInput.narrow(0, start, rows).to(ProductDtype), beta: start == 0 ? 0 : 1);
            }

            if (Rows == 0) gradient?.zero_();
            if (gradient is not null) AddGradients(gradient, weights, tile, parts, weightParts);
        }

        X.Gradient = inputGradient?.view(InputShape);
        if (bias.NeedsGradient) bias.Gradient = flatGrad.sum(dim: 0);
        foreach (var (shard, gradients) in shards.Zip(parts).Where(pair => pair.Second.Count > 0)) shard.Gradient = Joined(gradients);
        if (weight.NeedsGradient) weight.Gradient = Joined(weightParts);
    }

    /// <summary>Adds the gradients of a tile, given that of the changed weight, to <paramref name="parts"/>, those of the shards' blocks, and to <paramref name="weightParts"/>, those of the weight itself.</summary>
    private void AddGradients(Tensor gradient, Tensor[] weights, RowRange tile, List<Tensor>[] parts, List<Tensor> weightParts)
    {
        for (var level = shards.Length - 1; level >= 0; level--)
        {
            if (shards[level].NeedsGradient) parts[level].Add(BatBlocks.ShardGradient(gradient, weights[level], BlocksOf(level, tile), ProductDtype).MoveToOuterDisposeScope());
            if (level > 0 || weight.NeedsGradient) gradient = BatBlocks.WeightGradient(gradient, BlocksOf(level, tile), ProductDtype);
        }

        if (weight.NeedsGradient) weightParts.Add(gradient.MoveToOuterDisposeScope());
    }

    private static Tensor Joined(IReadOnlyList<Tensor> tiles) => tiles is [var whole] ? whole : cat([.. tiles], 0);

    /// <summary>The tile of the weight before the first adapter, after it, after the second, ….</summary>
    private Tensor[] Weights(RowRange tile)
    {
        var weights = new Tensor[shards.Length + 1];
        var rows = weight.Value.Rows(tile.Start, tile.Count).contiguous();
        weights[0] = HasRoundedProducts ? rows : rows.to(Accumulator);

        // Between two adapters it is not rounded.
        if (shards.Length == 1 && rows.dtype == ProductDtype && HasRoundedProducts) weights[1] = BatBlocks.ApplyRounded(rows, BlocksOf(0, tile));
        else for (var i = 0; i < shards.Length; i++) weights[i + 1] = BatBlocks.Apply(weights[i], BlocksOf(i, tile), ProductDtype);
        return weights;
    }

    /// <summary>The tile that x is multiplied with.</summary>
    private Tensor Changed(Tensor[] weights) => weights[^1].to(ProductDtype);

    /// <summary>D of the row blocks in a tile, (rows of the tile / r, r, r).</summary>
    private Tensor BlocksOf(int level, RowRange tile)
    {
        var shard = shards[level].Value;
        var size = shard.size(1);
        return new RowRange(tile.Start / size, tile.Count / size).Of(shard).to(Accumulator);
    }

    /// <summary>Row blocks change by themselves, so W + ΔW and its gradient are there a few rows at a time.</summary>
    private IEnumerable<RowRange> Tiles()
    {
        var rows = Math.Min(weight.Value.RowsPerTile, Math.Max(1, TileElements / weight.Value.InFeatures));
        return RowRange.Pieces(weight.Value.OutFeatures, Math.Max(1, rows / multiple) * multiple);
    }
}
