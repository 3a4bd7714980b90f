using Fossil;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

Console.WriteLine(new Layer().forward(ones(1, 100)));

[FossilAdapt("up", ShardSize = 64)]
internal sealed partial class Layer : Module<Tensor, Tensor>
{
    private readonly Linear up = Linear(100, 32);

    public Layer() : base(nameof(Layer)) => RegisterComponents();

    public override Tensor forward(Tensor input) => up.forward(input);
}
