using static TorchSharp.torch.nn.functional;
[FossilAdapt("fc1", "fc2", ShardSize = 16)]
public partial class Net : Module<Tensor, Tensor>
{
    internal readonly Linear fc1, fc2;
    public Net(string name = "net") : base(name) { fc1 = Linear(64, 64); fc2 = Linear(64, 64); RegisterComponents(); }
    public override Tensor forward(Tensor x) => fc2.forward(relu(fc1.forward(x)));
}
namespace Right
{
    // pretrain with one optimizer, then adapt, then a second optimizer in another variable
    static class TwoPhases
    {
        static void Main1()
        {
            var net = new Net();
            using (var pre = optim.SGD(net.parameters(), 0.1))
            {
                for (var i = 0; i < 10; i++) { pre.zero_grad(); net.forward(rand(4, 64)).mean().backward(); pre.step(); }
            }
            net.save("pre.bin");
            using var adapted = net.AttachAdapters(new FossilConfig { ShardSize = 16 });
            using var opt = adapted.CreateOptimizer(1e-3);
            var sched = optim.lr_scheduler.StepLR(opt, 1);
            foreach (var x in Data()) { opt.zero_grad(); var loss = mse_loss(net.forward(x), x); loss.backward(); opt.step(); sched.step(); }
            adapted.SavePretrained("adapter");
            using (adapted.DisableAdapters()) { net.forward(rand(1, 64)); }
            adapted.Merge();
            net.eval();
            using (no_grad()) net.forward(rand(1, 64));
            net.save("merged.bin");
        }
        static IEnumerable<Tensor> Data() { for (var i = 0; i < 3; i++) yield return rand(4, 64); }
    }
    // A trainer class, optimizer in a field
    public sealed class Trainer : IDisposable
    {
        private readonly Net model; private readonly AdaptedModel adapted; private readonly optim.Optimizer optimizer; private readonly Device device;
        public Trainer(Net model, Device device)
        {
            this.device = device;
            this.model = model.to(device);
            adapted = this.model.AttachAdapters();
            optimizer = adapted.CreateOptimizer();
        }
        public void Epoch(IEnumerable<(Tensor x, Tensor y)> data)
        {
            model.train();
            foreach (var (x, y) in data)
            {
                using var scope = NewDisposeScope();
                optimizer.zero_grad();
                using var p = model.forward(x.to(device));
                var l = cross_entropy(p, y.to(device));
                l.backward();
                optimizer.step();
            }
        }
        public void Save(string dir) => adapted.SavePretrained(dir);
        public void Export(string file) { adapted.Merge(); model.save(file); adapted.Unmerge(); }
        public void Dispose() { optimizer.Dispose(); adapted.Dispose(); }
    }
    static class Moves
    {
        static void A(Net net)
        {
            var opt = optim.Adam(net.parameters());
            opt.step();
            net.cpu();
            net.eval();
            net.forward(rand(1, 64));
        }
        static void B(Net net, Net other)
        {
            var opt = optim.Adam(net.parameters());
            other.to(CUDA);
            opt.step();
        }
        static void C(Net net)
        {
            optim.Optimizer opt = optim.Adam(net.parameters());
            opt.step();
            net.to(CUDA);
            opt = optim.Adam(net.parameters());
            opt.step();
        }
        static void D(Net net)
        {
            for (int fold = 0; fold < 5; fold++)
            {
                net.to(CPU);
                var opt = optim.Adam(net.parameters());
                opt.step();
            }
        }
        static void E(Net net, Tensor x)
        {
            var opt = optim.Adam(net.parameters());
            x = x.to(CUDA);
            net.forward(x).sum().backward();
            opt.step();
        }
        static void F(Net net)
        {
            var opt = optim.Adam(net.parameters());
            if (cuda.is_available()) { net.cuda(); opt = optim.Adam(net.parameters()); }
            opt.step();
        }
        static void G(Net net)
        {
            var opt = optim.Adam(net.parameters());
            Console.CancelKeyPress += (_, _) => net.cpu().save("last");
            opt.step();
        }
        static void H(Net net)
        {
            var opt = optim.Adam(net.parameters());
            void Export() { net.cpu(); net.save("x"); }
            opt.step();
            Export();
        }
        static void I(Net net, Linear head)
        {
            var opt = optim.Adam(head.parameters());
            net.to(CUDA); opt.step();
        }
    }
    static class Saves
    {
        static void A(Net net, bool full)
        {
            using var adapted = net.AttachAdapters();
            if (full) { adapted.Merge(); net.save("full"); } else adapted.SavePretrained("a");
        }
        static void B(Net net)
        {
            using (var adapted = net.AttachAdapters()) { adapted.SavePretrained("x"); }
            net.save("base again");
        }
        static void C(Net net)
        {
            var adapted = net.AttachAdapters();
            adapted.SavePretrained("x");
            adapted.Dispose();
            net.save("base again");
        }
        static void D(Net net)
        {
            var adapted = net.AttachAdapters();
            var merged = adapted.MergeAndUnload();
            merged.save("m");
            net.save("m");
        }
        static void E(Net net, Tensor x) { using var adapted = net.AttachAdapters(); x.save("tensor"); net.forward(x).save("out"); }
        static Dictionary<string, Tensor> F(Net net) { using var adapted = net.AttachAdapters(); return net.state_dict(); }
    }
    static class Optimizers
    {
        static void A(Net net, Linear head)
        {
            using var adapted = net.AttachAdapters();
            var opt = optim.AdamW(adapted.TrainableParameters().Select(p => p.Parameter).Concat(head.parameters()), 1e-3);
            opt.step();
        }
        static void B(Net net)
        {
            using var adapted = net.AttachAdapters();
            var opt = optim.AdamW(net.parameters().Where(p => p.requires_grad), 1e-3);
            opt.step();
        }
        static void C(Net net)
        {
            using var adapted = net.AttachAdapters();
            nn.utils.clip_grad_norm_(net.parameters(), 1.0);
            var n = net.parameters().Sum(p => p.numel());
            foreach (var (name, p) in net.named_parameters()) Console.WriteLine(name);
        }
        static void D(Net net)
        {
            using var adapted = net.AttachAdapters();
            adapted.Unfreeze();
            var groups = new[] { new AdamW.ParamGroup(adapted.TrainableParameters().Select(p => p.Parameter)) };
            var opt = optim.AdamW(groups, 1e-3);
            opt.step();
        }
        static void E(Net net)
        {
            using var adapted = net.AttachAdapters();
            var opt = optim.AdamW(from p in net.parameters() where p.requires_grad select p);
        }
        static void F(Net a, Net b)
        {
            using var adapted = a.AttachAdapters();
            var opt = optim.AdamW(b.parameters());
            opt.step();
        }
    }
    static class Merged
    {
        static void A(Net net)
        {
            using var adapted = net.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            for (int epoch = 0; epoch < 3; epoch++)
            {
                net.forward(rand(1, 64)).sum().backward(); opt.step();
                adapted.Merge();
                net.eval(); net.forward(rand(1, 64)); net.train();
                adapted.Unmerge();
            }
        }
        static void B(Net net, bool merge)
        {
            using var adapted = net.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            if (merge) { adapted.Merge(); return; }
            opt.step();
        }
        static void C(Net net)
        {
            using var adapted = net.AttachAdapters();
            try { adapted.Merge(); Eval(net); } finally { adapted.Unmerge(); }
            using var opt = adapted.CreateOptimizer();
            opt.step();
        }
        static void D(Net net, Net student)
        {
            using var adapted = net.AttachAdapters();
            adapted.Merge();
            var opt = optim.SGD(student.parameters(), 0.1);
            var loss = mse_loss(student.forward(rand(1, 64)), net.forward(rand(1, 64)));
            loss.backward();
            opt.step();
        }
        static void Eval(Net n) { }
    }
    static class Scopes
    {
        static AdaptedModel Make(Net net) { using var d = no_grad(); return net.AttachAdapters(); }
        static void A(Net net)
        {
            using var scope = NewDisposeScope();
            using var adapted = net.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            opt.step();
            adapted.SavePretrained("x");
        }
        static void B(Net net)
        {
            using (NewDisposeScope())
            {
                var adapted = net.AttachAdapters();
                adapted.SavePretrained("x");
                adapted.Dispose();
            }
            net.eval();
        }
    }
}
