// Places: who decides on a width is reported.
[FossilAdapt("proj", ShardSize = 64)]
public partial class Head : Module<Tensor, Tensor>
{
    public readonly Linear proj;
    protected Head(string name, int dim, int outs) : base(name) { proj = Linear(dim, outs); RegisterComponents(); }
    public Head(int dim) : this("head", dim, 10) { }
    public override Tensor forward(Tensor x) => proj.forward(x);
}
namespace Disagree
{
    public class Small : Head { public Small() : base(100) { } } //! FOSSIL005
    public class Wide : Head { public Wide(int scale) : base(64 * scale) { } }
    public class Odd : Head { public Odd(int scale) : base("odd", 50 * scale, 10) { } }
    public class Outer : Module<Tensor, Tensor>
    {
        readonly Head a, b, c; readonly Odd o, p;
        public Outer() : base("o")
        {
            a = new Head(64);
            b = new Head(65); //! FOSSIL005
            c = new Wide(3);
            o = new Odd(3); //! FOSSIL005
            p = new Odd(32);
            RegisterComponents();
        }
        public override Tensor forward(Tensor x) => x;
    }
    static class Make
    {
        public static Head Create(int d) => new(d);
        public static Head Doubled(int d) => Create(d * 2);
        public static Head Named(string kind, int d) => kind switch { "wide" => new Wide(d), "odd" => new Odd(d), "plain" => Create(d), _ => throw new NotSupportedException(kind) };
        static object A() => Create(128);
        static object B() => Create(129); //! FOSSIL005
        static object C() => Doubled(50); //! FOSSIL005
        static object D() => Doubled(32);
        static object E() => Named("odd", 3); //! FOSSIL005
        static object F() => Named("wide", 3);
        static object G(string s) => Named(s, 64);
        static readonly Func<Head> Later = () => Create(70); //! FOSSIL005
        static void H() { var dims = new[] { 64, 70, 128 }; foreach (var d in dims) Create(d); } //! FOSSIL005
        static void I()
        {
            const int hidden = 96;
            var x = hidden * 2;
            var y = x + 8;
            Create(x);
            Create(
                y); //! FOSSIL005
        }
    }
}
namespace Layers
{
    // a custom layer that declares its widths, and a factory of it
    [AdapterWidths("inFeatures", "outFeatures")]
    public class Quant : Module<Tensor, Tensor>
    {
        readonly Parameter weight;
        public Quant(int inFeatures, int outFeatures, int bits = 8) : base("q") { weight = Parameter(zeros(outFeatures, inFeatures)); RegisterComponents(); }
        public override Tensor forward(Tensor x) => functional.linear(x, weight);
        public static Quant FromLinear(Linear l) => new((int)l.weight!.shape[1], (int)l.weight.shape[0]);
    }
    [AdapterWidths(nameof(Inner), nameof(OuterDim))]
    public class Square(int n) : Module<Tensor, Tensor>("s") { public int Inner => n * 2; public int OuterDim { get; } = n; public override Tensor forward(Tensor x) => x; }
    [FossilAdapt("a", "b", "c", ShardSize = 32, Variant = FossilVariant.Bat)]
    public partial class Uses : Module<Tensor, Tensor>
    {
        readonly Quant a = new(64, 96, bits: 4); readonly Quant b = new(outFeatures: 65, inFeatures: 64); readonly Square c = new(48); //! FOSSIL005
        public Uses() : base("u") { RegisterComponents(); }
        public override Tensor forward(Tensor x) => c.forward(b.forward(a.forward(x)));
    }
    [FossilAdapt("q", ShardSize = 32)]
    public partial class FromL : Module<Tensor, Tensor>
    {
        readonly Quant q;
        public FromL(Linear source) : base("f") { q = Quant.FromLinear(source); RegisterComponents(); }
        public override Tensor forward(Tensor x) => q.forward(x);
    }
    [FossilAdapt("any")]
    public partial class Poly : Module<Tensor, Tensor>
    {
        readonly Module<Tensor, Tensor> any;
        public Poly(bool quantised, int w) : base("p") { any = quantised ? new Quant(w, 64) : Linear(w, 64); RegisterComponents(); }
        public override Tensor forward(Tensor x) => any.forward(x);
        static object A() => new Poly(true, 100); //! FOSSIL005
        static object B(bool q) => new Poly(q, 128);
        static object C(bool q) => new Poly(q, 100); //! FOSSIL005
    }
    public class Sub : Quant { public Sub() : base(100, 64) { } }
    [FossilAdapt("s")]
    public partial class UsesSub : Module<Tensor, Tensor>
    {
        readonly Sub s = new(); //! FOSSIL005
        public UsesSub() : base("p") { RegisterComponents(); }
        public override Tensor forward(Tensor x) => s.forward(x);
    }
}
namespace Weights
{
    // widths that come from tensors and other layers
    [FossilAdapt("l", ShardSize = 16)]
    public partial class FromTensor : Module<Tensor, Tensor>
    {
        readonly Linear l;
        public FromTensor(Tensor w) : base("w") { l = Linear(w.shape[1], w.shape[0]); l.weight = Parameter(w); RegisterComponents(); }
        public override Tensor forward(Tensor x) => l.forward(x);
        static object A() => new FromTensor(rand(10, 100));
    }
    [FossilAdapt("l2", ShardSize = 16)]
    public partial class Next : Module<Tensor, Tensor>
    {
        readonly Linear l1, l2;
        public Next() : base("w") { l1 = Linear(10, 100); l2 = Linear(l1.out_features, 10); RegisterComponents(); } //! FOSSIL005
        public override Tensor forward(Tensor x) => l2.forward(l1.forward(x));
    }
    [FossilAdapt("l", ShardSize = 16)]
    public partial class Widened : Module<Tensor, Tensor>
    {
        Linear l;
        public Widened(bool wide) : base("w") { l = Linear(100, 10); if (wide) l = Linear(160, 10); RegisterComponents(); }
        public override Tensor forward(Tensor x) => l.forward(x);
    }
    [FossilAdapt("l", ShardSize = 16)]
    public partial class Fixed : Module<Tensor, Tensor>
    {
        Linear l = Linear(100, 10);
        public Fixed() : base("w") { l = Linear(160, 10); RegisterComponents(); }
        public override Tensor forward(Tensor x) => l.forward(x);
    }
    [FossilAdapt("l", ShardSize = 16)]
    public abstract partial class Hook : Module<Tensor, Tensor>
    {
        protected Linear l = null!;
        protected virtual int Width => 100;
        protected Hook() : base("w") { Setup(); RegisterComponents(); }
        protected virtual void Setup() => l = Linear(Width, 10);
        public override Tensor forward(Tensor x) => l.forward(x);
    }
    public sealed class HookA : Hook { protected override int Width => 160; }
    public sealed class HookB : Hook { }
    public sealed class HookC : Hook { protected override void Setup() => l = Linear(64, 10); }
    static class U { static object A() => new HookA(); static object B() => new HookB(); static object C() => new HookC(); } //! FOSSIL005
}
namespace Aliased
{
    using static TorchSharp.torch.nn;
    using Fc = TorchSharp.Modules.Linear;
    using N = TorchSharp.torch.nn;
    [FossilAdapt("a", "b", "c", "d", "e", ShardSize = 64)]
    public partial class Al : Module<Tensor, Tensor>
    {
        readonly Fc a = N.Linear(100, 64); //! FOSSIL005
        readonly Fc b = TorchSharp.torch.nn.Linear(128, 64);
        readonly Fc c = global::TorchSharp.torch.nn.Linear(65, 64, true, device: CPU, dtype: float32); //! FOSSIL005
        static Fc No(int i, int o) => Linear(i, o, hasBias: false);
        readonly Fc d = No(66, 64); //! FOSSIL005
        static readonly Func<long, long, Fc> Make = (i, o) => Linear(i, o);
        readonly Fc e = Make(67, 64); //! FOSSIL005
        public Al() : base("al") { RegisterComponents(); }
        public override Tensor forward(Tensor x) => x;
    }
}
namespace Nested
{
    public partial class Model
    {
        public partial class Cfg { public int Dim = 100; public class Sub { public const int K = 2; } }
        [FossilAdapt("l")]
        private sealed partial class Inner : Module<Tensor, Tensor>
        {
            readonly Linear l;
            public Inner(Cfg c, int k = Cfg.Sub.K) : base("i") { l = Linear(c.Dim * k, 8); RegisterComponents(); }
            public override Tensor forward(Tensor x) => l.forward(x);
        }
        public static object A() => new Inner(new Cfg()); //! FOSSIL005
        public static object B() => new Inner(new Cfg { Dim = 32 });
        public static object C() => new Inner(new Cfg { Dim = 32 }, k: 3); //! FOSSIL005
    }
}
