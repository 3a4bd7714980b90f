using Fossil;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

random.manual_seed(1);
var model = new Network();                                  // load your base checkpoint here
var (inputs, labels) = (randn(256, 128), randint(0, 4, 256)); // stands for your data

using var adapted = model.AttachAdapters();                 // freezes the base, adds shards that start at zero
adapted.PrintTrainableParameters();

using var optimizer = adapted.CreateOptimizer(learningRate: 1e-2);
for (var step = 1; step <= 50; step++)
{
    using var scope = NewDisposeScope();
    var loss = functional.cross_entropy(model.forward(inputs), labels);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    if (step is 1 or 50) Console.WriteLine($"step {step}: loss {loss.item<float>():f3}");
}

adapted.SavePretrained("adapter");                          // adapter_config.json + adapter_model.safetensors, as PEFT writes them
adapted.Merge();                                            // fold the adapter into the base, for serving

[FossilAdapt("up", "down", ShardSize = 32)]
internal sealed partial class Block : Module<Tensor, Tensor>
{
    private readonly Linear up = Linear(128, 256);
    private readonly Linear down = Linear(256, 128);

    public Block() : base(nameof(Block)) => RegisterComponents();

    public override Tensor forward(Tensor x) => x + down.forward(functional.gelu(up.forward(x)));
}

internal sealed class Network : Module<Tensor, Tensor>
{
    private readonly Block block1 = new(), block2 = new();
    private readonly Linear head = Linear(128, 4);

    public Network() : base(nameof(Network)) => RegisterComponents();

    public override Tensor forward(Tensor x) => head.forward(block2.forward(block1.forward(x)));
}
