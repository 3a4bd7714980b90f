using Fossil.Adapters;
using static TorchSharp.torch;

namespace Fossil.Methods.Miss;

/// <summary>Bat: a block D_i (r, r) for each r rows of the weight; it acts on the weight, and several act one after the other.</summary>
internal sealed class BatLayer : AdapterLayer
{
    public BatLayer(AdaptedTarget target, string adapterName, FossilConfig config)
        : base(target, adapterName)
    {
        Config = config;
        ShardSize = config.ShardSize;
        if (target.InFeatures % ShardSize != 0 || target.OutFeatures % ShardSize != 0)
        {
            throw new ShardSizeException(
                $"'{target.Path}' has a weight of {target.OutFeatures} x {target.InFeatures}, which Bat must cut into blocks of {ShardSize} x {ShardSize}: the shard size must divide both.");
        }
    }

    public FossilConfig Config { get; }

    /// <summary>r.</summary>
    public int ShardSize { get; }

    public override AdapterMethod Method => FossilMethod.Instance;

    public override IReadOnlyList<AdapterParameterName> ParameterNames => FossilMethod.Instance.ParameterNames;

    public override bool DependsOnWeight => true;

    public override bool Chains => true;

    /// <summary>D as it is now.</summary>
    public Tensor Shard => Parameter(FossilMethod.MissBlock);

    public override void CreateParameters(bool trainable, Device device) =>
        Create(FossilMethod.MissBlock, FossilMethod.InitialShard([Target.OutFeatures / ShardSize, ShardSize, ShardSize], Config, device), trainable);

    public override void MergeInto(Tensor weight, AdapterValues values)
    {
        using var changed = BatBlocks.Apply(weight, values[FossilMethod.MissBlock.Kind]);
        weight.copy_(changed);
    }

    public override void UnmergeFrom(Tensor weight, AdapterValues values)
    {
        using var original = BatBlocks.Invert(weight, values[FossilMethod.MissBlock.Kind]);
        weight.copy_(original);
    }
}
