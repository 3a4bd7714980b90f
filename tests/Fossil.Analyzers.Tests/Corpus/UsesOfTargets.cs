using System.Linq.Expressions;
using F = TorchSharp.torch.nn.functional;
namespace UsesWrong
{
    [FossilAdapt("up", "down", "gate", "stack", ShardSize = 16)]
    public partial class Ffn : Module<Tensor, Tensor>
    {
        internal readonly Linear up, down, gate; internal readonly ModuleList<Linear> stack;
        private readonly Func<Tensor, Tensor> cached; private Sequential? seq;
        public Ffn() : base("ffn")
        {
            up = Linear(64, 64); down = Linear(64, 64); gate = Linear(64, 64); stack = new ModuleList<Linear>(Linear(64, 64));
            cached = up.forward; //! FOSSIL007
            RegisterComponents();
        }
        public override Tensor forward(Tensor x)
        {
            var f = new Func<Tensor, Tensor>(down.call);
            Func<Tensor, Tensor>[] all = [up.forward, down.forward]; //! FOSSIL007
            x = all.Aggregate(x, (h, g) => g(h));
            var ys = new[] { x }.Select(gate.forward).ToArray(); //! FOSSIL007
            seq = Sequential(("a", up), ("b", ReLU()), ("c", down));
            Linear alias = up; seq = Sequential(alias, ReLU());
            Linear other = up; other = Linear(64, 64); seq = Sequential(other, ReLU());
            seq = Sequential(new[] { up, down }.Concat(stack).ToList());
            seq = nn.Sequential(stack.ToArray());
            seq.append("z", gate);
            dynamic d = up; x = d.forward(x); //! FOSSIL007
            Expression<Func<Tensor, Tensor>> e = t => up.forward(t); //! FOSSIL007
            var m = typeof(Ffn).GetField("gate", System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Instance); //! FOSSIL007
            var m2 = GetType().GetField(nameof(gate)); //! FOSSIL007
            Run(up.forward); //! FOSSIL007
            return checkpoint(gate.forward, x); //! FOSSIL007
        }
        static Tensor checkpoint(Func<Tensor, Tensor> f, Tensor x) => f(x);
        static void Run(Func<Tensor, Tensor> f) { }
        event Func<Tensor, Tensor>? Hook;
        void Attach() => Hook += down.forward; //! FOSSIL007
        public Func<Tensor, Tensor> Pick(bool b) => b ? up.forward : down.forward; //! FOSSIL007
        public (Func<Tensor, Tensor>, int) Tup() => (up.forward, 1); //! FOSSIL007
        public object Boxed() => (Func<Tensor, Tensor>)gate.forward; //! FOSSIL007
        public Tensor Cond(Tensor x, bool b) => (b ? (Func<Tensor, Tensor>)up.forward : t => t)(x); //! FOSSIL007
    }
}
namespace UsesRight
{
    [FossilAdapt("up", "down", "gate", "stack", ShardSize = 16)]
    public partial class Ffn : Module<Tensor, Tensor>
    {
        internal readonly Linear up, down, gate; internal readonly ModuleList<Linear> stack;
        private readonly Module<Tensor, Tensor> act;
        public Ffn(string activation = "silu") : base("ffn")
        {
            up = Linear(64, 64); down = Linear(64, 64); gate = Linear(64, 64); stack = new ModuleList<Linear>(Linear(64, 64));
            act = activation switch { "silu" => SiLU(), "gelu" => GELU(), _ => ReLU() };
            RegisterComponents();
            foreach (var l in new[] { up, down, gate }) { init.xavier_uniform_(l.weight); if (l.bias is not null) init.zeros_(l.bias); }
            apply(InitWeights);
        }
        static void InitWeights(nn.Module m) { if (m is Linear l) init.normal_(l.weight, 0, 0.02); }
        public override Tensor forward(Tensor x)
        {
            var h = act.forward(gate.forward(x)) * up.forward(x);
            foreach (var (i, l) in stack.Select((l, i) => (i, l))) h = l.forward(h) * i;
            for (int i = stack.Count - 1; i >= 0; --i) h = stack[i].call(h);
            h = stack.First().forward(h);
            Tensor Apply(Linear l, Tensor t) => l.forward(t);
            h = Apply(up, h) + Apply(stack[^1], h);
            Func<Tensor, Tensor> f = t => down.forward(t);
            var picked = h.shape[0] > 1 ? up : down;
            var list = new List<Linear> { up, down };
            h = list[0].forward(h);
            h = F.dropout(f(h)) + picked.forward(h);
            using (no_grad()) h = h + F.linear(h, down.weight.detach(), down.bias);
            _ = up.weight.shape[0] + (int)(down.bias?.numel() ?? 0);
            Log(nameof(up), up.GetName());
            h = (up, down) is var (a, b) ? b.forward(a.forward(h)) : h;
            h = new Dictionary<string, Linear> { ["u"] = up }["u"].forward(h);
            h = Choose(0) is { } c ? c.forward(h) : h;
            return down.forward(h);
        }
        Linear? Choose(int i) => i switch { 0 => up, 1 => down, _ => null };
        void Log(string a, string b) { }
        public IEnumerable<Module<Tensor, Tensor>> Layers() { yield return up; yield return act; yield return down; }
        public Tensor Through(Tensor x) => Layers().Aggregate(x, (h, l) => l.forward(h));
        public Ffn Half() { up.half(); down.to(ScalarType.Float16); return this; }
        public Dictionary<string, Tensor> State() => up.state_dict();
        public bool Same(Ffn o) => ReferenceEquals(up, o.up) || up == o.up || up.Equals(o.up);
        public static void Freeze(Ffn f) { foreach (var p in f.up.parameters()) p.requires_grad = false; f.down.weight.requires_grad = false; f.gate.train(false); f.gate.eval(); }
        public override string ToString() => $"Ffn({up.weight.shape[0]} {up})";
        public override void train(bool mode = true) { base.train(mode); up.train(mode); }
        protected override void Dispose(bool disposing) { if (disposing) { up.Dispose(); down.Dispose(); } base.Dispose(disposing); }
    }
    public class Outer : Module<Tensor, Tensor>
    {
        readonly Ffn a = new(), b = new("gelu"); readonly Sequential both; readonly ModuleDict<Ffn> d = new();
        public Outer() : base("o") { both = Sequential(("a", a), ("relu", ReLU()), ("b", b)); RegisterComponents(); }
        public override Tensor forward(Tensor x) { Func<Tensor, Tensor> f = a.forward; return both.forward(f(x)); }
        public Tensor Probe(Tensor x) => a.up.forward(x) + b.down.call(x);
    }
}
namespace InhBase
{
    [FossilAdapt("up", ShardSize = 16)]
    public partial class B1 : Module<Tensor, Tensor> { protected readonly Linear up = Linear(64, 64); public B1() : base("b") { RegisterComponents(); } public override Tensor forward(Tensor x) => up.forward(x); }
    public class D1 : B1 { public override Tensor forward(Tensor x) => base.forward(x) + up.forward(x); public Func<Tensor, Tensor> G() => base.up.forward; } //! FOSSIL007
    public class Custom : Module<Tensor, Tensor> { readonly Parameter weight = Parameter(rand(64, 64)); public Custom() : base("c") { RegisterComponents(); } public override Tensor forward(Tensor x) => x.matmul(weight); }
    public class CustomEx : Custom { public override Tensor forward(Tensor x) => base.forward(x).relu(); }
    [FossilAdapt("c", ShardSize = 16)] public partial class H : Module<Tensor, Tensor> { readonly CustomEx c = new(); public H() : base("h") { RegisterComponents(); } public override Tensor forward(Tensor x) => c.forward(x); }
}
