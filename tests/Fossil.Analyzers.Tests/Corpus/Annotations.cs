namespace Kinds
{
    [FossilAdapt("a")]
    public partial class Iface : Module<Tensor, Tensor>
    {
        readonly IReadOnlyList<Linear> a = new[] { Linear(64, 64) };
        public Iface() : base("a") { for (int i = 0; i < a.Count; i++) register_module($"a{i}", a[i]); }
        public override Tensor forward(Tensor x) => a[0].forward(x);
    }
    [FossilAdapt("a")]
    public partial class Enu : Module<Tensor, Tensor>
    {
        readonly IEnumerable<Linear> a = new[] { Linear(64, 64) };
        public Enu() : base("a") { foreach (var x in a) register_module("a", x); }
        public override Tensor forward(Tensor x) => a.First().forward(x);
    }
    [FossilAdapt("a")]
    public partial class Imm : Module<Tensor, Tensor>
    {
        readonly System.Collections.Immutable.ImmutableArray<Linear> a = [Linear(64, 64)];
        public Imm() : base("a") { foreach (var x in a) register_module("a", x); }
        public override Tensor forward(Tensor x) => a[0].forward(x);
    }
    [FossilAdapt("a")]
    public partial class Nul : Module<Tensor, Tensor>
    {
        Linear? a;
        public Nul(bool b) : base("a") { if (b) a = Linear(64, 64); RegisterComponents(); }
        public override Tensor forward(Tensor x) => a?.forward(x) ?? x;
    }
    [FossilAdapt("a")] //! FOSSIL003
    public partial class Jag : Module<Tensor, Tensor>
    {
        Linear[][] a = [[Linear(64, 64)]];
        public Jag() : base("a") { register_module("q", a[0][0]); }
        public override Tensor forward(Tensor x) => a[0][0].forward(x);
    }
    [FossilAdapt("a")] //! FOSSIL003
    public partial class Tup : Module<Tensor, Tensor>
    {
        (Linear l, Linear r) a = (Linear(64, 64), Linear(64, 64));
        public Tup() : base("a") { register_module("q", a.l); register_module("r", a.r); }
        public override Tensor forward(Tensor x) => a.l.forward(a.r.forward(x));
    }
    [FossilAdapt("conv", "emb", "drop", "bil")] //! FOSSIL003 //! FOSSIL036
    public partial class Nomat : Module<Tensor, Tensor>
    {
        readonly Conv2d conv = Conv2d(3, 4, 3); readonly Embedding emb = Embedding(10, 10); readonly Dropout drop = Dropout(); readonly Bilinear bil = Bilinear(4, 4, 4);
        public Nomat() : base("a") => RegisterComponents();
        public override Tensor forward(Tensor x) => drop.forward(emb.forward(conv.forward(x)));
    }
    [FossilAdapt("mha", "t")] //! FOSSIL003
    public partial class Mha : Module<Tensor, Tensor>
    {
        readonly MultiheadAttention mha = MultiheadAttention(64, 4); readonly Tensor t = zeros(1);
        public Mha() : base("a") => RegisterComponents();
        public override Tensor forward(Tensor x) => mha.forward(x, x, x, null, false, null).Item1;
    }
}
namespace Shapes
{
    [FossilAdapt("l")] public partial record R(Linear l); //! FOSSIL009
    [FossilAdapt("l")] public static partial class St { static Linear l = Linear(64, 64); } //! FOSSIL009 //! FOSSIL013
    [FossilAdapt("l")] public partial class G<T>() : Module<Tensor, Tensor>("g") where T : class { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor x) => l.forward(x); public void Init() => RegisterComponents(); }
    public class Outer { [FossilAdapt("l")] private sealed partial class In() : Module<Tensor, Tensor>("g") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor x) => l.forward(x); public void Init() => RegisterComponents(); } static object M() => new In(); } //! FOSSIL001
    [FossilAdapt("l")] public partial class Two() : Module<Tensor, Tensor, Tensor>("t") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor x, Tensor y) => l.forward(x) + y; public void Init() => RegisterComponents(); }
    [FossilAdapt("L")] public partial class Case() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); } //! FOSSIL002
    [FossilAdapt("a.b")] public partial class Dot() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); } //! FOSSIL002
    [FossilAdapt("")] public partial class Emp() : Module<Tensor, Tensor>("t") { public override Tensor forward(Tensor y) => y; } //! FOSSIL010
    [FossilAdapt(null!)] public partial class Nu() : Module<Tensor, Tensor>("t") { public override Tensor forward(Tensor y) => y; } //! FOSSIL010
    [FossilAdapt("l", "l")] public partial class Du() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); } //! FOSSIL011
    [FossilAdapt("l", ShardSize = -8)] public partial class Ng() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); } //! FOSSIL004
    [FossilAdapt("l", ShardSize = 1_000_000)] public partial class Ab() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); } //! FOSSIL020 //! FOSSIL021
    [FossilAdapt("l", MiniSize = 8)] public partial class Mi() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); } //! FOSSIL015
    [FossilAdapt("l", Dropout = 0.1, Variant = FossilVariant.Bat)] public partial class Dr() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); } //! FOSSIL015
    [FossilAdapt("l", Dropout = 0, Variant = FossilVariant.Bat)] public partial class Dr0() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); }
    [FossilAdapt("l", Dropout = double.NaN)] public partial class Na() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); } //! FOSSIL018
    [FossilAdapt("l", Variant = FossilVariant.Mini, MiniSize = 48)] public partial class Ms() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); } //! FOSSIL017
    [FossilAdapt("l", Variant = FossilVariant.Mini, MiniSize = 128)] public partial class Ml() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); } //! FOSSIL017
    [FossilAdapt("l", ShardSize = 48, AllowPadding = true)] public partial class Pa() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(100, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); }
    [FossilAdapt("l", ShardSize = 48, AllowPadding = true, Variant = FossilVariant.Bat)] public partial class Pb() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(100, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); } //! FOSSIL005 //! FOSSIL015
    [FossilAdapt("l", ShardSize = 64)] public partial class Eq() : Module<Tensor, Tensor>("t") { readonly Linear l = Linear(64, 64); public override Tensor forward(Tensor y) => l.forward(y); public void Init() => RegisterComponents(); }
    [FossilAdapt("s")] public partial class Sta() : Module<Tensor, Tensor>("t") { static readonly Linear s = Linear(64, 64); public override Tensor forward(Tensor y) => s.forward(y); } //! FOSSIL013
    [FossilAdapt("W")] public partial class Wo() : Module<Tensor, Tensor>("t") { Linear w = Linear(64, 64); public Linear W { set => w = value; } public override Tensor forward(Tensor y) => w.forward(y); public void Init() => RegisterComponents(); } //! FOSSIL013
    [FossilAdapt("Make")] public partial class Me() : Module<Tensor, Tensor>("t") { Linear Make() => Linear(64, 64); public override Tensor forward(Tensor y) => Make().forward(y); } //! FOSSIL013
}
