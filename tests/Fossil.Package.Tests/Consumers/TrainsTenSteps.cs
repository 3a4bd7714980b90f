using Fossil;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

random.manual_seed(1);
var model = new Mlp();
var (x, target) = (randn(64, 96), randn(64, 32));
var before = model.forward(x).detach();

using var adapted = model.AttachAdapters();
using var optimizer = adapted.CreateOptimizer(learningRate: 1e-2);
var losses = new List<float>();
for (var step = 0; step < 10; step++)
{
    using var scope = NewDisposeScope();
    var loss = functional.mse_loss(model.forward(x), target);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    losses.Add(loss.item<float>());
}

Console.WriteLine($"losses: {string.Join(" ", losses)}");
Console.WriteLine($"the loss fell: {losses[^1] < losses[0]}");

using var noGrad = no_grad();
var trained = model.forward(x);
using (adapted.DisableAdapters())
    Console.WriteLine($"the calls were rewired: {!trained.allclose(before) && model.forward(x).allclose(before)}");

adapted.SavePretrained("adapter");
adapted.Merge();
Console.WriteLine($"merged equals adapted: {model.forward(x).allclose(trained, rtol: 1e-4, atol: 1e-5)}");

[FossilAdapt("up", "down", ShardSize = 32)]
internal sealed partial class Mlp : Module<Tensor, Tensor>
{
    private readonly Linear up = Linear(96, 64);
    private readonly Linear down = Linear(64, 32);

    public Mlp() : base(nameof(Mlp)) => RegisterComponents();

    public override Tensor forward(Tensor input) => down.forward(functional.relu(up.forward(input)));
}
