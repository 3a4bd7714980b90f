using static TorchSharp.torch.nn.functional;
[FossilAdapt("fc1", "fc2", ShardSize = 16)]
public partial class Net : Module<Tensor, Tensor>
{
    internal readonly Linear fc1, fc2;
    public Net(string name = "net") : base(name) { fc1 = Linear(64, 64); fc2 = Linear(64, 64); RegisterComponents(); }
    public override Tensor forward(Tensor x) => fc2.forward(relu(fc1.forward(x)));
}
namespace WrongMoves
{
    static class W
    {
        static void A(Net net)
        {
            var opt = optim.AdamW(net.parameters(), lr: 1e-4);
            net = net.to(CUDA); //! FOSSIL030
            for (;;) { net.forward(rand(1)).sum().backward(); opt.step(); }
        }
        static void B(Net net)
        {
            var opt = optim.AdamW(net.parameters(), lr: 1e-4);
            net.to(ScalarType.BFloat16); //! FOSSIL030
            Train(net, opt);
        }
        static void C(Net net)
        {
            using var adapted = net.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            adapted.Model.to(CUDA); //! FOSSIL030
            Train(net, opt);
        }
        static void C2(Net net)
        {
            using var adapted = net.AttachAdapters();
            using var opt = optim.AdamW(net.parameters(), lr: 1e-4); //! FOSSIL028
            adapted.Model.to(CUDA); //! FOSSIL030
            Train(net, opt);
        }
        static void D(Net net)
        {
            using var adapted = net.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            if (cuda.is_available()) net.to(CUDA); //! FOSSIL030
            Train(net, opt);
        }
        static void E(Net net, Device device)
        {
            var opt = optim.SGD(net.parameters(), 0.1);
            var sched = optim.lr_scheduler.StepLR(opt, 10);
            if (device.type == DeviceType.CUDA)
            {
                net.to(device); //! FOSSIL030
            }
            Train(net, opt);
        }
        static void F(Net net)
        {
            var opt = new TorchSharp.Modules.SGD(net.parameters(), 0.1);
            net.bfloat16(); //! FOSSIL030
            opt.step();
        }
        static void G(Net net)
        {
            var opt = optim.SGD(net.parameters(), 0.1);
            net.@float(); //! FOSSIL030
            opt.step();
        }
        static void H(Net net)
        {
            var opt = optim.SGD(net.parameters(), 0.1);
            var gpu = net.cuda(); //! FOSSIL030
            opt.step();
        }
        static void Train(Net n, optim.Optimizer o) { }
    }
    class Fields
    {
        Net net = new(); optim.Optimizer opt; AdaptedModel adapted;
        public Fields(Device d)
        {
            adapted = net.AttachAdapters();
            opt = adapted.CreateOptimizer();
            net.to(d); //! FOSSIL030
            opt.zero_grad();
        }
    }
    class Fields2
    {
        readonly Net net = new(); readonly optim.Optimizer opt;
        public Fields2(Device d)
        {
            opt = optim.Adam(net.parameters());
            net.to(d); //! FOSSIL030
        }
        void Step() => opt.step();
    }
}
namespace WrongOptim
{
    static class W
    {
        static void A(Net net)
        {
            using var adapted = net.AttachAdapters();
            using var opt = new TorchSharp.Modules.AdamW(net.parameters()); //! FOSSIL028
            opt.step();
        }
        static void B(Net net)
        {
            using var adapted = net.AttachAdapters();
            using optim.Optimizer opt = optim.AdamW(adapted.Model.parameters()); //! FOSSIL028
            opt.step();
        }
        static void C(Net net)
        {
            using var adapted = net.AttachAdapters();
            using var opt = optim.AdamW([new AdamW.ParamGroup(net.parameters())]); // groups of parameters are not followed
            opt.step();
        }
        static void D(Net net)
        {
            var adapted = net.AttachAdapters();
            Run(optim.AdamW(net.parameters())); //! FOSSIL028
        }
        static optim.Optimizer E(Net net, out AdaptedModel adapted)
        {
            adapted = net.AttachAdapters();
            return optim.AdamW(net.parameters()); //! FOSSIL028
        }
        static void F(Net net, string name)
        {
            using var adapted = net.AttachAdapters();
            optim.Optimizer opt = name switch
            {
                "sgd" => optim.SGD(net.parameters(), 0.1), //! FOSSIL028
                "adam" => optim.Adam(net.parameters()), //! FOSSIL028
                _ => adapted.CreateOptimizer(),
            };
            opt.step();
        }
        static void G(Net net)
        {
            IEnumerable<Parameter> ps = net.parameters();
            using var adapted = net.AttachAdapters();
            using var opt = optim.AdamW(ps); //! FOSSIL028
            opt.step();
        }
        static void H(Net net)
        {
            using var opt = optim.AdamW(net.parameters()); //! FOSSIL029
            using var adapted = net.AttachAdapters();
            Run(opt);
        }
        static void I(Net net)
        {
            var opt = optim.AdamW(net.parameters()); //! FOSSIL029
            var sched = optim.lr_scheduler.CosineAnnealingLR(opt, 10);
            using (var adapted = net.AttachAdapters())
            {
                for (int i = 0; i < 10; i++) { opt.zero_grad(); net.forward(rand(1)).sum().backward(); opt.step(); sched.step(); }
            }
        }
        static void J(string dir)
        {
            var net = new Net();
            var opt = optim.Adam(net.parameters()); //! FOSSIL029
            var adapted = net.LoadPretrained(dir, isTrainable: true);
            opt.step();
        }
        static void Run(optim.Optimizer o) { }
    }
    class Trainer
    {
        private readonly Net net; private readonly AdaptedModel adapted; private readonly optim.Optimizer optimizer;
        public Trainer(Net net)
        {
            this.net = net;
            optimizer = optim.Adam(net.parameters()); //! FOSSIL029
            adapted = net.AttachAdapters();
        }
        void Step() => optimizer.step();
    }
    class Trainer2
    {
        private readonly Net net; private readonly AdaptedModel adapted; private readonly optim.Optimizer optimizer;
        public Trainer2(Net net)
        {
            this.net = net;
            adapted = net.AttachAdapters();
            optimizer = optim.Adam(this.net.parameters()); //! FOSSIL028
        }
    }
    class Trainer3
    {
        private readonly Net net; private AdaptedModel? adapted; private optim.Optimizer? optimizer;
        public Trainer3(Net net) { this.net = net; adapted = net.AttachAdapters(); }
        public void Start() => optimizer = optim.Adam(net.parameters());
    }
}
namespace WrongMerged
{
    static class W
    {
        static void A(Net net, string dir)
        {
            using var adapted = net.LoadPretrained(dir);
            adapted.Merge(safe: true);
            var opt = adapted.CreateOptimizer();
            net.train();
            foreach (var _ in Enumerable.Range(0, 10))
            {
                using (NewDisposeScope())
                {
                    var loss = net.forward(rand(1)).sum();
                    loss.backward(); //! FOSSIL032
                    opt.step(); //! FOSSIL032
                }
            }
        }
        static void B(Net net)
        {
            using var adapted = net.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            for (int e = 0; e < 3; e++)
            {
                net.forward(rand(1)).sum().backward();
                opt.step();
                adapted.Merge();
            }
        }
        static void C(Net net)
        {
            using var adapted = net.AttachAdapters();
            var merged = adapted.MergeAndUnload();
            using var opt = adapted.CreateOptimizer();
            opt.step();
        }
    }
}
namespace WrongSave
{
    static class W
    {
        static void A(Net net)
        {
            var adapted = net.AttachAdapters();
            using (var fs = File.OpenWrite("x")) net.save(fs); //! FOSSIL033
        }
        static void B(Net net)
        {
            using var adapted = net.AttachAdapters();
            for (int i = 0; i < 10; i++) if (i % 2 == 0) net.save($"checkpoint-{i}.dat"); //! FOSSIL033
        }
        static void C(Net net)
        {
            using var adapted = net.AttachAdapters();
            adapted.Model.save("model.dat"); //! FOSSIL033
        }
        static void D(Net net)
        {
            using var adapted = net.AttachAdapters();
            adapted.Merge();
            adapted.Unmerge();
            net.save("model.dat"); //! FOSSIL033
        }
    }
}
namespace Discarded
{
    static class W
    {
        static void A(Net net) { net.AttachAdapters(); } //! FOSSIL034
        static Net B() { var n = new Net(); n.AttachAdapters(new FossilConfig { ShardSize = 8 }); return n; } //! FOSSIL034
        static void C(Net net, string d) { net.LoadPretrained(d); net.eval(); } // inference only: reported?
        static void D(Net net) { net.AttachAdapters().PrintTrainableParameters(); }
        static void E(Net net) { var adapted = net.AttachAdapters(); Console.WriteLine("unused"); } // a variable
        static void F(Net net) { new Thread(() => net.AttachAdapters()).Start(); } //! FOSSIL034
    }
}
namespace ScopesW
{
    static class W
    {
        static AdaptedModel A(Net net) { using var d = NewDisposeScope(); return net.AttachAdapters(); }
        static AdaptedModel B(Net net) { using var d = NewDisposeScope(); var a = net.AttachAdapters(); return a; } //! FOSSIL031
        static AdaptedModel C() { using var d = NewDisposeScope(); var n = new Net(); var a = n.AttachAdapters(); return a; } //! FOSSIL031
    }
}
