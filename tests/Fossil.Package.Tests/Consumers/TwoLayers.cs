using Fossil;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Layers;

[FossilAdapt("Up", "Down", ShardSize = 4)]
public sealed partial class Block : Module<Tensor, Tensor>
{
    public Block() : base(nameof(Block)) => RegisterComponents();

    public Linear Up { get; } = Linear(8, 8);

    public Linear Down { get; } = Linear(8, 8);

    public override Tensor forward(Tensor x) => Down.forward(Up.forward(x));
}
