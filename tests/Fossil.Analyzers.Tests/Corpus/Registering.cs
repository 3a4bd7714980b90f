namespace Reg
{
    [FossilAdapt("a", ShardSize = 16)] public partial class NoCall : Module<Tensor, Tensor>
    {
        readonly Linear a = Linear(64, 64); //! FOSSIL006
        public NoCall() : base("x") { }
        public override Tensor forward(Tensor x) => a.forward(x);
    }
    [FossilAdapt("a", ShardSize = 16)] public partial class Before : Module<Tensor, Tensor>
    {
        Linear a;
        public Before() : base("x") { RegisterComponents(); a = Linear(64, 64); } //! FOSSIL006
        public override Tensor forward(Tensor x) => a.forward(x);
    }
    [FossilAdapt("a", ShardSize = 16)] public partial class Arr : Module<Tensor, Tensor>
    {
        readonly Linear[] a = [Linear(64, 64), Linear(64, 64)]; //! FOSSIL006
        public Arr() : base("x") { RegisterComponents(); }
        public override Tensor forward(Tensor x) => a[0].forward(x);
    }
    [FossilAdapt("a", ShardSize = 16)] public partial class ListReg : Module<Tensor, Tensor>
    {
        readonly List<Linear> a = [];
        public ListReg(int n) : base("x") { for (var i = 0; i < n; i++) { a.Add(Linear(64, 64)); register_module($"a.{i}".Replace('.', '_'), a[^1]); } RegisterComponents(); }
        public override Tensor forward(Tensor x) => a[0].forward(x);
    }
    [FossilAdapt("a", ShardSize = 16)] public partial class ListSel : Module<Tensor, Tensor>
    {
        readonly Linear[] a;
        readonly ModuleList<Linear> reg;
        public ListSel(int n) : base("x") { a = Enumerable.Range(0, n).Select(_ => Linear(64, 64)).ToArray(); reg = new ModuleList<Linear>(a); RegisterComponents(); }
        public override Tensor forward(Tensor x) => a[0].forward(x);
    }
    [FossilAdapt("A", ShardSize = 16)] public partial class AutoProp : Module<Tensor, Tensor>
    {
        public Linear A { get; private set; }
        public AutoProp() : base("x") { A = Linear(64, 64); RegisterComponents(); }
        public override Tensor forward(Tensor x) => A.forward(x);
    }
    [FossilAdapt("a", ShardSize = 16)] public partial class Init : Module<Tensor, Tensor>
    {
        Linear a = null!;
        public Init() : base("x") { Build(64); }
        void Build(int w) { a = Linear(w, w); RegisterComponents(); }
        public override Tensor forward(Tensor x) => a.forward(x);
    }
    [FossilAdapt("a", ShardSize = 16)] public partial class LazyB : Module<Tensor, Tensor>
    {
        Linear? a;
        public LazyB() : base("x") { }
        public override Tensor forward(Tensor x) { if (a is null) { a = Linear(x.shape[^1], 64); register_module(nameof(a), a); } return a.forward(x); }
    }
    [FossilAdapt("a", ShardSize = 16)] public partial class LazyC : Module<Tensor, Tensor>
    {
        Linear? a;
        Linear A => a ??= Linear(64, 64);
        public LazyC() : base("x") { RegisterComponents(); }
        public override Tensor forward(Tensor x) => A.forward(x);
    }
    [FossilAdapt("a", ShardSize = 16)] public partial class AddMod : Module<Tensor, Tensor>
    {
        readonly Linear a = Linear(64, 64);
        public AddMod() : base("x") { add_module("a", a); }
        public override Tensor forward(Tensor x) => a.forward(x);
    }
    [FossilAdapt("a", "b", ShardSize = 16)] public partial class Some : Module<Tensor, Tensor>
    {
        readonly Linear a, b;
        public Some() : base("x") { a = Linear(64, 64); b = Linear(64, 64); register_module("a", a); } //! FOSSIL006
        public override Tensor forward(Tensor x) => a.forward(b.forward(x));
    }
    [FossilAdapt("a", ShardSize = 16)] public partial class Cond : Module<Tensor, Tensor>
    {
        readonly Linear a;
        public Cond(bool reg) : base("x") { a = Linear(64, 64); if (reg) RegisterComponents(); }
        public override Tensor forward(Tensor x) => a.forward(x);
    }
    [FossilAdapt("a", ShardSize = 16)] public partial class CtorChain : Module<Tensor, Tensor>
    {
        readonly Linear a;
        public CtorChain(int w, string n) : base(n) { a = Linear(w, w); RegisterComponents(); }
        public CtorChain(int w) : this(w, "n") { }
        public override Tensor forward(Tensor x) => a.forward(x);
    }
    public abstract class RegBase : Module<Tensor, Tensor>
    {
        protected RegBase(string n) : base(n) { Build(); RegisterComponents(); }
        protected abstract void Build();
    }
    [FossilAdapt("a", ShardSize = 16)] public partial class Tmpl : RegBase
    {
        Linear a = null!;
        public Tmpl() : base("t") { }
        protected override void Build() => a = Linear(64, 64);
        public override Tensor forward(Tensor x) => a.forward(x);
    }
    [FossilAdapt("a", ShardSize = 16)] public partial class TooLate : RegBase
    {
        Linear a;
        public TooLate() : base("t") { a = Linear(64, 64); } //! FOSSIL006
        protected override void Build() { }
        public override Tensor forward(Tensor x) => a.forward(x);
    }
    [FossilAdapt("a", ShardSize = 16)] public partial class FieldInitOk : RegBase
    {
        readonly Linear a = Linear(64, 64);
        public FieldInitOk() : base("t") { }
        protected override void Build() { }
        public override Tensor forward(Tensor x) => a.forward(x);
    }
    [FossilAdapt("fc", ShardSize = 16)] public partial class Child() : Module<Tensor, Tensor>("c") { readonly Linear fc = Linear(64, 64); public override Tensor forward(Tensor x) => fc.forward(x); }
    public class ParentReg : Module<Tensor, Tensor> { readonly Child c = new(); public ParentReg() : base("p") { RegisterComponents(); } public override Tensor forward(Tensor x) => c.forward(x); }
}
namespace RegTuple
{
    [FossilAdapt("q", "k", ShardSize = 16)]
    public partial class NoReg : Module<Tensor, Tensor>
    {
        readonly Linear q, k;
        public NoReg() : base("n") { (q, k) = (Linear(64, 64), Linear(64, 64)); } //! FOSSIL006
        public override Tensor forward(Tensor x) => q.forward(k.forward(x));
    }
    [FossilAdapt("q", "k", ShardSize = 16)]
    public partial class Made : Module<Tensor, Tensor>
    {
        Linear q, k;
        public Made() : base("n") { (q, k) = Pair(); RegisterComponents(); }
        static (Linear, Linear) Pair() => (Linear(64, 64), Linear(64, 64));
        public override Tensor forward(Tensor x) => q.forward(k.forward(x));
        public void Swap() => (q, k) = (k, q); //! FOSSIL024
        public void Renew() => (q, k) = Pair(); //! FOSSIL024
    }
    [FossilAdapt("fc1", "fc2", ShardSize = 16)]
    public partial class InSeq : Module<Tensor, Tensor>
    {
        readonly Linear fc1, fc2; readonly Sequential net;
        public InSeq() : base("n") { net = Sequential(("fc1", fc1 = Linear(64, 64)), ("r", ReLU()), ("fc2", fc2 = Linear(64, 64))); RegisterComponents(); }
        public override Tensor forward(Tensor x) => net.forward(x);
    }
}
namespace Replaced
{
    [FossilAdapt("head", "blocks", ShardSize = 16)]
    public partial class Net : Module<Tensor, Tensor>
    {
        internal Linear head; internal readonly ModuleList<Linear> blocks = new(); internal Linear[] extra = [];
        public Net(int classes) : base("n") { head = Linear(64, classes); for (var i = 0; i < 3; i++) blocks.Add(Linear(64, 64)); RegisterComponents(); }
        public override Tensor forward(Tensor x) => head.forward(blocks[0].forward(x));
        public void ReplaceHead(int classes) { head = Linear(64, classes); register_module("head2", head); } //! FOSSIL024
        public void Grow() => blocks.Add(Linear(64, 64));
        public void Swap() => (head, extra) = (Linear(64, 2), []); //! FOSSIL024
        public void Cast() { head = head.to(ScalarType.BFloat16); }
        public static Net FromPretrained(string path, int classes) { var n = new Net(10); n.load(path); n.head = Linear(64, classes); return n; } //! FOSSIL024
    }
    [FossilAdapt("q", "k", ShardSize = 16)] //! FOSSIL025
    public partial class Tied : Module<Tensor, Tensor>
    {
        readonly Linear q, k;
        public Tied() : base("n") { q = k = Linear(64, 64); RegisterComponents(); }
        public override Tensor forward(Tensor x) => q.forward(k.forward(x));
    }
    [FossilAdapt("ls", ShardSize = 16)]
    public partial class Rep : Module<Tensor, Tensor>
    {
        readonly ModuleList<Linear> ls;
        public Rep() : base("n") { var l = Linear(64, 64); ls = new ModuleList<Linear>(Enumerable.Repeat(l, 4).ToArray()); RegisterComponents(); }
        public override Tensor forward(Tensor x) => ls[0].forward(x);
    }
    [FossilAdapt("q", "k", ShardSize = 16)]
    public partial class Share : Module<Tensor, Tensor>
    {
        readonly Linear q, k;
        public Share(Linear? shared = null) : base("n") { q = shared ?? Linear(64, 64); k = shared ?? Linear(64, 64); RegisterComponents(); }
        public override Tensor forward(Tensor x) => q.forward(k.forward(x));
        static Share M() => new(Linear(64, 64));
    }
}
namespace Hidden
{
    [FossilAdapt("up", ShardSize = 16)]
    public abstract partial class Bs : Module<Tensor, Tensor> { protected virtual Linear up { get; } = Linear(64, 64); protected Bs() : base("b") { RegisterComponents(); } }
    public class De : Bs { protected override Linear up { get; } = Linear(64, 32); public override Tensor forward(Tensor x) => up.forward(x); } //! FOSSIL022
    [FossilAdapt("a", ShardSize = 16)] public abstract partial class Lonely : Module<Tensor, Tensor> { protected Linear a = Linear(64, 64); protected Lonely() : base("b") { RegisterComponents(); } } //! FOSSIL023
    [FossilAdapt("a", ShardSize = 16)] public abstract partial class Gen<T> : Module<Tensor, Tensor> { protected Linear a = Linear(64, 64); protected Gen() : base("b") { RegisterComponents(); } }
    public class OfInt : Gen<int> { public override Tensor forward(Tensor x) => a.forward(x); }
}
