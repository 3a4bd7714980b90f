using Fossil.Adapters;
using Fossil.CompilerServices;
using Fossil.Concurrency;
using Fossil.Kernels;
using Fossil.Kernels.OneRow;
using static TorchSharp.torch;

namespace Fossil.Methods.Miss;

/// <summary>
/// Balance, its padded form, and Mini (arXiv 2409.15371, equations 5 and 6; PEFT: <c>MissLinear</c>): y = x Wᵀ + b + S D with
/// S[…, j] = Σ_i x[…, i·r + j]. In Mini, D is (r, m) and stands for its tiling along out.
/// </summary>
internal sealed class ShardLayer : AdapterLayer
{
    public ShardLayer(AdaptedTarget target, string adapterName, FossilConfig config)
        : base(target, adapterName)
    {
        Config = config;
        ShardSize = config.ShardSize;
        Width = config.Variant == FossilVariant.Mini ? config.MiniSize : target.OutFeatures;
        if (target.InFeatures % ShardSize != 0 && !config.AllowPadding)
        {
            throw new ShardSizeException(
                $"'{target.Path}' has an input width of {target.InFeatures}, which the shard size {ShardSize} does not divide. Choose a divisor, or set AllowPadding to take the input as zero-padded to {Padded(target.InFeatures)}.");
        }

        if (target.OutFeatures % Width != 0)
            throw new ShardSizeException($"'{target.Path}' has an output width of {target.OutFeatures}, which the Mini width (mini_r) {Width} does not divide. Choose a divisor of {target.OutFeatures}.");
        ShardKernelRegistry.ReportMissing(ShardSize);
    }

    public FossilConfig Config { get; }

    /// <summary>r.</summary>
    public int ShardSize { get; }

    /// <summary>Width of D: out, or m in Mini.</summary>
    public long Width { get; }

    /// <summary>Whether D is narrower than the output and stands for its tiling.</summary>
    public bool IsTiled => Width != Target.OutFeatures;

    public override AdapterMethod Method => FossilMethod.Instance;

    public override IReadOnlyList<AdapterParameterName> ParameterNames => FossilMethod.Instance.ParameterNames;

    /// <summary>D as it is now.</summary>
    public Tensor Shard => Parameter(FossilMethod.MissBlock);

    internal override RowTerm? RowTerm => IsTiled || (Config.Dropout > 0 && Target.Module.training) ? null : ShardRowTerm.TryCreate(Shard, Target.InFeatures);

    public override void CreateParameters(bool trainable, Device device) =>
        Create(FossilMethod.MissBlock, FossilMethod.InitialShard([ShardSize, Width], Config, device), trainable);

    public override void MergeInto(Tensor weight, AdapterValues values) => AddTiled(weight, values, 1);

    public override void UnmergeFrom(Tensor weight, AdapterValues values) => AddTiled(weight, values, -1);

    /// <summary>Exactly LoRA with the 0/1 matrix A[j, c] = 1 for c mod r = j, and B = Dᵀ.</summary>
    public override (Tensor A, Tensor B)? LoraFactors(AdapterValues values)
    {
        using var scope = NewDisposeScope();
        var shard = values[FossilMethod.MissBlock.Kind];
        var columns = arange(Scalars.Zero, Scalars.Of(Target.InFeatures), Scalars.One, dtype: ScalarType.Int64, device: shard.device).remainder(Scalars.Of(ShardSize)).unsqueeze(0);
        var chunkSum = columns.eq(arange(Scalars.Zero, Scalars.Of(ShardSize), Scalars.One, dtype: ScalarType.Int64, device: shard.device).unsqueeze(1)).to(shard.dtype);
        return (chunkSum.MoveToOuterDisposeScope(), FullShard(shard).t().contiguous().MoveToOuterDisposeScope());
    }

    /// <summary>W[:, c] += sign · D[c mod r, :]ᵀ.</summary>
    private void AddTiled(Tensor weight, AdapterValues values, int sign)
    {
        using var scope = NewDisposeScope();
        var full = FullShard(values[FossilMethod.MissBlock.Kind]).mul(Scalars.Of(sign));
        ShardOperations.AddTiled(weight, full.t().contiguous(), ShardSize);
    }

    /// <summary>D (r, out), with Mini's tiling written out.</summary>
    public Tensor FullShard(Tensor shard) => !IsTiled ? shard.alias() : shard.repeat(1, Target.OutFeatures / Width);

    private long Padded(long width) => (width + ShardSize - 1) / ShardSize * ShardSize;
}
