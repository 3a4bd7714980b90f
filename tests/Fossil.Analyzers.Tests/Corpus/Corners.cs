// The last corners: dispose scopes, discarded results, shared layers, sizes.
using static TorchSharp.torch.nn.functional;
[FossilAdapt("fc", ShardSize = 16)]
public partial class Net : Module<Tensor, Tensor>
{
    internal readonly Linear fc;
    public Net() : base("net") { fc = Linear(64, 64); RegisterComponents(); }
    public override Tensor forward(Tensor x) => fc.forward(x);
}
namespace Scopes
{
    static class Right
    {
        static void A(Net net)
        {
            using var adapted = net.AttachAdapters();
            using var opt = adapted.CreateOptimizer();
            for (var i = 0; i < 10; i++) using (var scope = NewDisposeScope()) { opt.zero_grad(); net.forward(rand(1, 64)).sum().backward(); opt.step(); }
            using (NewDisposeScope()) { using var second = new Net().AttachAdapters(); second.PrintTrainableParameters(); }
        }
        static void B()
        {
            using var outer = NewDisposeScope();
            var net = new Net();
            var adapted = net.AttachAdapters();
            using (NewDisposeScope()) { adapted.SavePretrained("x"); }
        }
        static float C(Net net) { using (NewDisposeScope()) { using var a = net.AttachAdapters(); return net.forward(rand(1, 64)).sum().item<float>(); } }
        static void D(Net net) { using (NewDisposeScope()) { Train(net.AttachAdapters()); } }
        static void Train(AdaptedModel a) => a.Dispose();
        static AdaptedModel E(Net net) { AdaptedModel a = net.AttachAdapters(); using (NewDisposeScope()) { net.forward(rand(1, 64)); } return a; }
        static void F(Net net) { using var s = NewDisposeScope(); var t = new Thread(() => { using var a = net.AttachAdapters(); a.SavePretrained("x"); }); t.Start(); t.Join(); }
    }
    class Keeps
    {
        AdaptedModel? adapted; readonly Net net = new();
        void Wrong1() { using var s = NewDisposeScope(); adapted = net.AttachAdapters(); } //! FOSSIL031
        void Wrong2() { using (NewDisposeScope()) adapted = net.LoadPretrained("x"); } //! FOSSIL031
        void Right1() { adapted = net.AttachAdapters(); using var s = NewDisposeScope(); net.forward(rand(1, 64)); }
        AdaptedModel Wrong3() { AdaptedModel a; using (var s = NewDisposeScope()) { a = net.AttachAdapters(); } return a; } //! FOSSIL031
    }
}
namespace Discards
{
    static class D
    {
        static void A(Net n) { n.AttachAdapters(); n.eval(); } //! FOSSIL034
        static void B(Net n) => _ = n.AttachAdapters(new LoraConfig { Rank = 8 }); //! FOSSIL034
        static void C(IEnumerable<Net> all) { foreach (var n in all) n.AttachAdapters(); } //! FOSSIL034
        static void D1(IEnumerable<Net> all) => all.ToList().ForEach(n => n.AttachAdapters()); //! FOSSIL034
        static AdaptedModel E(Net n) => n.AttachAdapters();
        static void F(Net n, out AdaptedModel a) => a = n.AttachAdapters();
        static void G(Net n) { using (n.AttachAdapters()) n.forward(rand(1, 64)); }
        static void H(Net n) { n.AttachAdapters().Dispose(); }
        static Func<Net, AdaptedModel> I() => n => n.AttachAdapters();
        static List<AdaptedModel> J(IEnumerable<Net> all) => [.. all.Select(n => n.AttachAdapters())];
        static void K(Net n, List<AdaptedModel> to) => to.Add(n.AttachAdapters());
        static async Task L(Net n) { await Task.Run(() => n.AttachAdapters()); }
        static AdaptedModel M(Net n) { return n.AttachAdapters() ?? throw new Exception(); }
        static void N(Net n) { if (n.AttachAdapters() is { Targets.Count: 0 }) Console.WriteLine("nothing"); }
        static (AdaptedModel, int) O(Net n) => (n.AttachAdapters(), 1);
    }
}
namespace SharedLayers
{
    [FossilAdapt("q", "k", ShardSize = 16)] //! FOSSIL025
    public partial class A : Module<Tensor, Tensor>
    {
        readonly Linear q, k;
        public A() : base("a") { var shared = Linear(64, 64); q = shared; k = shared; RegisterComponents(); }
        public override Tensor forward(Tensor x) => q.forward(k.forward(x));
    }
    [FossilAdapt("q", "list", ShardSize = 16)] //! FOSSIL025
    public partial class B : Module<Tensor, Tensor>
    {
        readonly Linear q; readonly ModuleList<Linear> list;
        public B() : base("a") { q = Linear(64, 64); list = new ModuleList<Linear>(Linear(64, 64), q); RegisterComponents(); }
        public override Tensor forward(Tensor x) => q.forward(list[0].forward(x));
    }
    [FossilAdapt("Q", "K", ShardSize = 16)] //! FOSSIL025
    public partial class C : Module<Tensor, Tensor>
    {
        public Linear Q { get; } public Linear K => Q;
        public C() : base("a") { Q = Linear(64, 64); register_module("Q", Q); }
        public override Tensor forward(Tensor x) => Q.forward(K.forward(x));
    }
    [FossilAdapt("q", "k", ShardSize = 16)]
    public partial class D : Module<Tensor, Tensor>
    {
        readonly Linear q, k;
        public D(bool tie) : base("a") { q = Linear(64, 64); k = tie ? q : Linear(64, 64); RegisterComponents(); }
        public override Tensor forward(Tensor x) => q.forward(k.forward(x));
    }
    [FossilAdapt("q", ShardSize = 16)]
    public partial class E : Module<Tensor, Tensor>
    {
        readonly Linear q, k;
        public E() : base("a") { k = q = Linear(64, 64); RegisterComponents(); }
        public override Tensor forward(Tensor x) => q.forward(k.forward(x));
    }
    [FossilAdapt("q", "k", ShardSize = 16)]
    public partial class F : Module<Tensor, Tensor>
    {
        readonly Linear q, k; static Linear L() => Linear(64, 64);
        public F() : base("a") { (q, k) = (L(), L()); RegisterComponents(); }
        public override Tensor forward(Tensor x) => q.forward(k.forward(x));
    }
}
