// A script of top-level statements with each mistake once.
using static TorchSharp.torch.nn.functional;
var device = args.Contains("--cuda") ? CUDA : CPU;
var model = new Net();
var warmup = optim.SGD(model.parameters(), 0.1);
Run(warmup, 2);
var early = optim.AdamW(model.parameters(), 1e-3); //! FOSSIL029
using var adapted = model.AttachAdapters();
early.step();
var all = optim.AdamW(model.parameters().ToArray(), 1e-3); //! FOSSIL028
var optimizer = adapted.CreateOptimizer();
if (device.type == DeviceType.CUDA)
{
    model.cuda(); //! FOSSIL030
}
Train();
model.save("adapter.bin"); //! FOSSIL033
adapted.Merge();
Train();
adapted.Unmerge();
Evaluate();
adapted.Merge();
model.save("merged.bin");
void Train()
{
    for (var i = 0; i < 3; i++)
    {
        optimizer.zero_grad();
        Loss().backward(); //! FOSSIL032
        optimizer.step(); //! FOSSIL032
    }
}
void Evaluate() { using var _ = no_grad(); Loss().item<float>(); }
Tensor Loss() { var x = rand(4, 64); return mse_loss(model.forward(x), x); }
void Run(optim.Optimizer o, int n) { while (n-- > 0) { o.zero_grad(); Loss().backward(); o.step(); } }

[FossilAdapt("fc", ShardSize = 16)]
public partial class Net : Module<Tensor, Tensor>
{
    private readonly Linear fc;
    public Net() : base("net") { fc = Linear(64, 64); RegisterComponents(); }
    public override Tensor forward(Tensor x) => fc.forward(x);
}
