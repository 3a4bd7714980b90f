// Helper methods under aliases, derived classes, factories, lambdas and local functions.
namespace Makers;
using L = TorchSharp.Modules.Linear;
using static Makers.Make;
internal static class Make
{
    internal const int Base = 1 << 7;
    internal static L Proj(int i, int o = Base) => torch.nn.Linear(i, o, hasBias: false);
    internal static L Square(int d) { var n = d; n += 0; return Proj(o: n, i: n); }
    internal static (L up, L down) Pair(int d, int f) => (Proj(d, f), Proj(f, d));
}
[FossilAdapt("up", "down", Variant = FossilVariant.Bat, ShardSize = 32)]
public partial class Ffn : Module<Tensor, Tensor>
{
    private readonly L up, down;
    public Ffn(int d, int f) : base("Ffn") { (up, down) = Pair(d, f); RegisterComponents(); }
    public Ffn(int d) : this(d, checked(4 * d)) { }
    public override Tensor forward(Tensor x) => down.forward(up.forward(x));
}
[FossilAdapt("proj")]
public partial class P1() : Module<Tensor, Tensor>("P1")
{
    private readonly L proj = Square(Base / 2 + 2); //! FOSSIL005 //! FOSSIL006
    public override Tensor forward(Tensor x) => proj.forward(x);
}
[FossilAdapt("proj")]
public partial class P2(int d) : Module<Tensor, Tensor>("P2")
{
    protected readonly L proj = Square(d);
    public override Tensor forward(Tensor x) => proj.forward(x);
}
public sealed class P3() : P2(Base * 3) { }
public sealed class P4() : P2(Base * 3 + 8) { } //! FOSSIL005
public sealed class P5 : P2 { public P5(bool wide) : base(wide ? 1024 : 512) { } }
public sealed class P6 : P2 { public P6(int heads) : base(heads * 64) { } public P6() : this(heads: 3) { } }
public static class Use
{
    static P2 Build(string kind) => kind switch { "a" => new P2(256), "b" => new P2(300), _ => throw new ArgumentException(kind) }; //! FOSSIL005
    public static void Run()
    {
        _ = new Ffn(64);
        _ = new Ffn(48); //! FOSSIL005
        _ = new Ffn(64, 100); //! FOSSIL005
        _ = new P5(true);
        _ = new P6(5);
        Func<int, P2> make = static w => new P2(w);
        _ = make(128);
        _ = make(130); //! FOSSIL005
        P2 Local(int w, int extra = 2) => new(w + extra);
        _ = Local(62);
        _ = Local(64); //! FOSSIL005
        var (a, b) = (64, 65);
        (a, b) = (b, a);
        _ = new P2(b);
        _ = new P2(a); //! FOSSIL005
        var n = Math.Max(Math.Min(1000, 100), 96);
        _ = new P2(n); //! FOSSIL005
        _ = new P2(n - n % 64);
    }
}
