using static TorchSharp.torch.nn.functional;
namespace Right
{
    [FossilAdapt("dense", ShardSize = 16)]
    public partial class Tied : Module<Tensor, Tensor>
    {
        // the output projection shares its weight, not its layer
        private readonly Embedding embed; private readonly Linear dense, head;
        public Tied(bool tie) : base("tied") { embed = Embedding(100, 64); dense = Linear(64, 64); head = Linear(64, 100, hasBias: false); if (tie) head.weight = embed.weight; RegisterComponents(); }
        public override Tensor forward(Tensor x) => head.forward(dense.forward(embed.forward(x)));
    }
    [FossilAdapt("enc", "dec", ShardSize = 16)]
    public partial class OneOfTwo : Module<Tensor, Tensor>
    {
        private readonly Linear enc, dec; private readonly Linear[] all; private Linear Current => training ? enc : dec;
        public OneOfTwo() : base("o") { enc = Linear(64, 64); dec = Linear(64, 64); all = [enc, dec]; RegisterComponents(); }
        public override Tensor forward(Tensor x) { x = Current.forward(x); foreach (var l in all) x = l.forward(x); return x; }
    }
    public class Registry
    {
        private readonly Dictionary<string, nn.Module> modules = []; public void Add(string n, nn.Module m) => modules[n] = m;
    }
    [FossilAdapt("a", ShardSize = 16)]
    public partial class SelfRegistering : Module<Tensor, Tensor>
    {
        private readonly Linear a;
        public SelfRegistering(Registry r) : base("o") { a = Linear(64, 64); RegisterAll(); r.Add("self", this); }
        private void RegisterAll() { foreach (var f in GetType().GetFields(System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Instance)) if (f.GetValue(this) is nn.Module m) register_module(f.Name, m); }
        public override Tensor forward(Tensor x) => a.forward(x);
    }
    [FossilAdapt("a", ShardSize = 16)]
    public partial class Lazily : Module<Tensor, Tensor>
    {
        private readonly Lazy<Linear> lazy; private Linear a => lazy.Value;
        public Lazily() : base("o") { lazy = new(() => { var l = Linear(64, 64); register_module("a", l); return l; }); _ = a; }
        public override Tensor forward(Tensor x) => a.forward(x);
    }
    [FossilAdapt("a", ShardSize = 16)]
    public partial class Hooks : Module<Tensor, Tensor>
    {
        private readonly Linear a = Linear(64, 64);
        public Hooks() : base("o") { RegisterComponents(); a.register_forward_hook((m, i, o) => o * 2); a.register_forward_pre_hook((m, i) => i); }
        public override Tensor forward(Tensor x) => a.call(x);
        public void Print() => Console.WriteLine($"{a} {a.GetName()} {string.Join(',', a.weight!.shape)} {a.parameters().Count()}");
        public (Tensor W, Tensor? B) Weights() => (a.weight!, a.bias);
        public IDisposable Frozen() { a.eval(); return NewDisposeScope(); }
    }
    [FossilAdapt("fc", ShardSize = 16)]
    public partial class Mixed : Module<Tensor, Tensor>
    {
        private readonly Linear fc; private readonly Sequential body; private readonly Func<Tensor, Tensor> act;
        public Mixed(Func<Tensor, Tensor>? act = null) : base("o") { this.act = act ?? (t => relu(t)); body = Sequential(("c", Linear(64, 64)), ("r", ReLU())); fc = Linear(64, 64); RegisterComponents(); }
        public override Tensor forward(Tensor x) => fc.forward(act(body.forward(x)));
        public Module<Tensor, Tensor> Wrap() => Sequential(this, Softmax(-1));
        public Func<Tensor, Tensor> AsFunc() => forward;
        public Task<Tensor> Async(Tensor x) => Task.Run(() => fc.forward(x));
        public Tensor[] Batch(Tensor[] xs) => xs.AsParallel().Select(x => fc.forward(x)).ToArray();
        public Tensor Checkpointed(Tensor x) => Recompute(t => fc.forward(t), x);
        private static Tensor Recompute(Func<Tensor, Tensor> f, Tensor x) => f(x);
    }
    public static class Outside
    {
        public static void Init(Mixed m) { foreach (var (n, c) in m.named_children()) if (c is Linear l) init.orthogonal_(l.weight!); }
        public static Tensor Run(Module<Tensor, Tensor> any, Tensor x) => any.forward(x);
        public static Tensor All(IEnumerable<Module<Tensor, Tensor>> any, Tensor x) => any.Aggregate(x, (h, m) => m.forward(h));
        public static int Count(nn.Module m) => m.modules().OfType<Linear>().Count();
        public static bool IsLinear(object o) => o is Linear { weight: not null };
    }
    public abstract class Shape2 : Module<Tensor, Tensor> { protected abstract Linear Proj { get; } protected Shape2(string n) : base(n) { } public override Tensor forward(Tensor x) => Proj.forward(x); }
    [FossilAdapt("Proj", ShardSize = 16)]
    public partial class Concrete : Shape2 { protected override Linear Proj { get; } = Linear(64, 64); public Concrete() : base("c") { RegisterComponents(); } }
    [FossilAdapt("inner", ShardSize = 16)]
    public partial class Generic<TInner> : Module<Tensor, Tensor> where TInner : Module<Tensor, Tensor>
    {
        private readonly TInner inner; private readonly List<TInner> more = [];
        public Generic(Func<TInner> make) : base("g") { inner = make(); more.Add(make()); RegisterComponents(); }
        public override Tensor forward(Tensor x) => inner.call(x);
    }
    static class G { static object A() => new Generic<Linear>(() => Linear(64, 64)); }
}
namespace Wrong
{
    [FossilAdapt("fc1", "fc2", "out_", ShardSize = 16)]
    public partial class Net : Module<Tensor, Tensor>
    {
        public Linear fc1, fc2; public Linear out_ { get; set; }
        public Net() : base("n") { fc1 = Linear(64, 64); fc2 = Linear(64, 64); out_ = Linear(64, 64); RegisterComponents(); }
        public override Tensor forward(Tensor x) => out_.forward(fc2.forward(fc1.forward(x)));
        public void Quantise(Func<Linear, Linear> f) { foreach (var _ in new[] { 1 }) out_ = Linear(64, 64); } //! FOSSIL024
        public void Reset() { fc1 = Linear(64, 64); } //! FOSSIL024
        public Func<Tensor, Tensor> Compose() => Compose2(fc1.forward, fc2.call); //! FOSSIL007
        static Func<Tensor, Tensor> Compose2(Func<Tensor, Tensor> f, Func<Tensor, Tensor> g) => x => g(f(x));
        public Lazy<Func<Tensor, Tensor>> Lz() => new(() => fc1.forward); //! FOSSIL007
        public Tensor Reflect(Tensor x) => (Tensor)typeof(Net).GetField("fc1")!.GetValue(this)!.GetType().GetMethod("forward")!.Invoke(fc1, [x])!; //! FOSSIL007
        public object Dyn(Tensor x) { dynamic self = this; return self.fc1.forward(x); }
        public Tensor Dyn2(dynamic x) => fc1.forward(x);
        public Module<Tensor, Tensor> Chain() { var list = new List<Module<Tensor, Tensor>> { fc1, ReLU(), fc2 }; return Sequential(list.ToArray()); }
        public Module<Tensor, Tensor> Chain5()
        {
            var layers = new List<(string, Module<Tensor, Tensor>)>();
            layers.Add(("fc1", fc1));
            layers.Add(("act", ReLU()));
            layers.Add(("fc2", fc2));
            return Sequential(layers);
        }
        public Tensor Listed(Tensor x)
        {
            var layers = new List<Linear> { fc1 };
            layers.Add(fc2);
            foreach (var l in layers) x = l.forward(x);
            Console.WriteLine(layers.Count);
            return layers.Aggregate(x, (h, l) => l.forward(h));
        }
        public Module<Tensor, Tensor> Chain2() => Sequential([fc1, ReLU(), fc2]);
        public Module<Tensor, Tensor> Chain3() => Sequential(("a", (Module<Tensor, Tensor>)fc1));
        public Module<Tensor, Tensor> Chain4(bool b) => Sequential(b ? fc1 : fc2);
    }
    static class Outer
    {
        static void A(Net n) { n.fc1 = new Net().fc2; } //! FOSSIL024
        static void B(Net n) { n.out_ = Linear(64, 10); } //! FOSSIL024
        static Net C() => new() { out_ = Linear(64, 10) };
        static void D(Net n) { n.fc1.weight = Parameter(rand(64, 64)); }
        static Func<Tensor, Tensor> E(Net n) => n.fc1.forward; //! FOSSIL007
        static void F(Net? n) { if (n?.out_ is { } o) { Func<Tensor, Tensor> f = o.forward; f(rand(1)); } } //! FOSSIL007
    }
}
