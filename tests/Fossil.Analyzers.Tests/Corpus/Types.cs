[FossilAdapt("lin", ShardSize = 64)]
public partial class Lin : Module<Tensor, Tensor>
{
    public readonly Linear lin;
    public Lin(int width, int outs = 8) : base("lin") { lin = Linear(width, outs); RegisterComponents(); }
    public override Tensor forward(Tensor x) => lin.forward(x);
}
namespace Operators
{
    public readonly record struct Dim(int N)
    {
        public static Dim operator *(Dim a, int k) => new(a.N * k);
        public static Dim operator +(Dim a, Dim b) => new(a.N + b.N);
        public static implicit operator int(Dim d) => d.N;
        public static explicit operator Dim(int n) => new(n);
        public static bool operator true(Dim d) => d.N > 0;
        public static bool operator false(Dim d) => d.N <= 0;
        public Dim this[int i] => new(N / i);
        public static Dim operator -(Dim d) => new(-d.N);
        public static Dim operator ++(Dim d) => new(d.N + 1);
    }
    static class O
    {
        static object A() => new Lin(new Dim(50) * 2); //! FOSSIL005
        static object B() => new Lin(new Dim(32) * 2 + new Dim(64));
        static object C() => new Lin((Dim)100); //! FOSSIL005
        static object D() => new Lin(new Dim(1000)[10]); //! FOSSIL005
        static object E() => new Lin(-new Dim(-100)); //! FOSSIL005
        static object F() { var d = new Dim(99); d++; return new Lin(d); } //! FOSSIL005
        static object G() { Dim d = new(64); d += new Dim(36); return new Lin(d); } //! FOSSIL005
        static object H() => new Dim(5) ? new Lin(100) : new Lin(64); //! FOSSIL005
        static object I() { Dim d = default; return new Lin(d + new Dim(100)); } // the default of a struct is not followed
    }
}
namespace Enums
{
    public enum Size { Small = 64, Medium = 100, Large = 4096 }
    [Flags] public enum Bits : byte { A = 1, B = 64, C = B | A }
    static class E
    {
        static object A() => new Lin((int)Size.Medium); //! FOSSIL005
        static object B(Size s) => new Lin((int)s);
        static object C() => new Lin((int)Bits.C); //! FOSSIL005
        static int Width(Size s) => s switch { Size.Small => 64, Size.Medium => 100, Size.Large => 4096, _ => throw new ArgumentOutOfRangeException(nameof(s)) };
        static object D() => new Lin(Width(Size.Medium)); //! FOSSIL005
        static object F(Size s) => new Lin(Width(s));
        static object G() { switch (Size.Medium) { case Size.Small: return new Lin(65); case Size.Medium: goto case Size.Large; case Size.Large: return new Lin(128); } return null!; }
        static object H() => new Lin((int)Enum.Parse<Size>("Small"));
        static object I() => new Lin(Enum.GetValues<Size>().Length * 64);
    }
}
namespace Generics
{
    public interface IWidth { static abstract int Value { get; } }
    public struct W100 : IWidth { public static int Value => 100; }
    public struct W128 : IWidth { public static int Value => 128; }
    [FossilAdapt("p")]
    public partial class P<T> : Module<Tensor, Tensor> where T : struct, IWidth
    {
        readonly Linear p = Linear(T.Value, 64);
        public P() : base("p") { RegisterComponents(); }
        public override Tensor forward(Tensor x) => p.forward(x);
    }
    public class Stack<TBlock>(Func<int, TBlock> make) : Module<Tensor, Tensor>("s") where TBlock : Module<Tensor, Tensor>
    {
        readonly ModuleList<TBlock> blocks = new([make(64), make(128)]);
        public override Tensor forward(Tensor x) => x;
        public Stack<TBlock> Init() { RegisterComponents(); return this; }
    }
    static class G
    {
        static object A() => new P<W100>(); //! FOSSIL005
        static object B() => new P<W128>();
        static object C() => new Stack<Lin>(w => new Lin(w)).Init();
        static object D() => new Stack<Lin>(w => new Lin(w + 1)).Init(); //! FOSSIL005
        static T Make<T>(Func<T> f) => f();
        static object E() => Make(() => new Lin(100)); //! FOSSIL005
        static object F() => Make(static () => new Lin(128));
        static T New<T>() where T : new() => new();
        static object H() => New<P<W100>>(); //! FOSSIL005
        static T Sum<T>(params T[] xs) where T : System.Numerics.INumber<T> { var s = T.Zero; foreach (var x in xs) s += x; return s; }
        static object I() => new Lin(Sum(50, 50)); // generic math: unknown or known
        static object J() => Activator.CreateInstance(typeof(Lin), 100, 8)!;
        static Lin Id<T>(T n) where T : IConvertible => new(n.ToInt32(null));
        static object K() => Id(100);
    }
}
namespace Factories
{
    public interface IFactory { Lin Create(int w); }
    public sealed class Plain : IFactory { public Lin Create(int w) => new(w); }
    public sealed class Rounding(int multiple) : IFactory { public Lin Create(int w) => new((w + multiple - 1) / multiple * multiple); }
    public class Builder
    {
        private int width = 64; private int outs = 1; private bool dbl;
        public Builder Width(int w) { width = w; return this; }
        public Builder Outs(int o) { outs = o; return this; }
        public Builder Double() { dbl = true; return this; }
        public Lin Build() => new(dbl ? width * 2 : width, outs);
    }
    public static class Ext
    {
        public static Lin ToLayer(this int w) => new(w);
        public static int Round(this int w, int m = 64) => w % m == 0 ? w : w + m - w % m;
        extension(int w) { public int Twice => w * 2; public Lin Layer() => new(w); }
    }
    static class F
    {
        static object A(IFactory f) => f.Create(100);
        static object B() { IFactory f = new Plain(); return f.Create(100); } //! FOSSIL005
        static object C() => new Rounding(64).Create(100);
        static object D() => new Rounding(10).Create(95); //! FOSSIL005
        static object E() => new Builder().Width(100).Outs(3).Build(); //! FOSSIL005
        static object G() => new Builder().Width(32).Double().Build();
        static object H() => 100.ToLayer(); //! FOSSIL005
        static object I() => 100.Round().ToLayer();
        static object J() => 50.Twice.Layer(); //! FOSSIL005
        static object K() { Lin Local(int w, int k = 1) => new(w * k); return (Local(64), Local(k: 2, w: 50)); } //! FOSSIL005
        static object L() { int w = 64; void Bump() => w += 36; Bump(); return new Lin(w); } //! FOSSIL005
        static object M() { var w = 100; Action fix = () => w = 128; fix(); return new Lin(w); }
        static object N() { var makers = new Dictionary<string, Func<int, Lin>> { ["a"] = w => new Lin(w), ["b"] = w => new Lin(w * 64) }; return (makers["b"](3), makers["a"](65)); } //! FOSSIL005
        static Lin Rec(int n) => n < 64 ? Rec(n * 2) : new Lin(n);
        static object O() => Rec(16);
        static object P() => Rec(25); //! FOSSIL005
        static void Outp(int a, out int b, ref int c) { b = a * 2; c += b; }
        static object Q() { var c = 0; Outp(25, out var b, ref c); return new Lin(b + c); } //! FOSSIL005
        static object R() { var c = 28; Outp(25, out _, ref c); c -= 14; return new Lin(c); }
        static object S() { int[] a = [64, 100]; ref var r = ref a[1]; r = 128; return new Lin(a[1]); }
        static object T() { int[] a = [64, 128]; ref var r = ref a[1]; r = 100; return new Lin(a[1]); } //! FOSSIL005
        static object U() { var o = new { Hidden = 100, Heads = 4 }; return new Lin(o.Hidden); } //! FOSSIL005
        static object V() { object boxed = 100; return new Lin((int)boxed); } //! FOSSIL005
        static object W() { object boxed = 100; return boxed is int n and > 64 ? new Lin(n) : new Lin(64); } //! FOSSIL005
        static object X() { string s = "w=100"; return new Lin(int.Parse(s[2..])); }
        static object Y() => new Lin(new[] { 1, 2, 3 }.Length * 33); //! FOSSIL005
        static object Z() { try { return new Lin(100); } finally { Console.WriteLine(); } } //! FOSSIL005
        static object Z1() { try { throw new Exception(); } catch { return new Lin(100); } } //! FOSSIL005
        static object Z2(bool b) { var w = 64; if (b) w = 100; return new Lin(w); }
        static object Z3(bool b) { var w = 65; if (b) w = 100; return new Lin(w); } //! FOSSIL005
        static object Z4(int n) { var w = 64; for (var i = 0; i < n; i++) w += 64; return new Lin(w); }
        static object Z5(int n) { var w = 100; for (var i = 0; i < n; i++) w = w * 2; return new Lin(w); }
        static object Z6(int n) { while (n > 0) { if (n == 5) return new Lin(100); n--; } return null!; } //! FOSSIL005
        static async Task<object> Z7() { var w = await Task.FromResult(100); return new Lin(w); }
        static unsafe object Z8() { int w = 100; int* p = &w; *p = 128; return new Lin(w); }
        static object Z9() { lock (typeof(F)) { using var d = NewDisposeScope(); checked { var w = 25; w *= 4; return new Lin(w); } } } //! FOSSIL005
    }
}
namespace Statics
{
    static class Cfg { public static int Hidden = 100; public static readonly int Fixed; public static int Prop { get; } = 100; public static int Settable { get; set; } = 100; public const int C = 100; static Cfg() { Fixed = 128; } }
    class Inst { public readonly int A; public int B { get; } public required int R { get; init; } public Inst(int a) { A = a; B = a * 2; } }
    public abstract class Sh { public static readonly int[] Dims = [64, 100]; public static IReadOnlyList<int> Ro { get; } = [64, 100]; protected internal const int K = 10; }
    interface IConst { const int W = 100; static readonly int V = 128; }
    static class S
    {
        static object A() => new Lin(Cfg.Hidden);
        static object B() => new Lin(Cfg.Fixed);
        static object C() => new Lin(Cfg.Prop); //! FOSSIL005
        static object D() => new Lin(Cfg.Settable);
        static object E() => new Lin(Cfg.C); //! FOSSIL005
        static object F() => new Lin(new Inst(50) { R = 1 }.B); //! FOSSIL005
        static object G() => new Lin(new Inst(50) { R = 128 }.R);
        static object H() => new Lin(Sh.Dims[1]); //! FOSSIL005
        static object I() => new Lin(Sh.Ro[1]); //! FOSSIL005
        static object J() => new Lin(Sh.K * Sh.K); //! FOSSIL005
        static object K() => new Lin(IConst.W); //! FOSSIL005
        static object L() => new Lin(IConst.V);
        static readonly Lin Shared = new(Cfg.C); //! FOSSIL005
        static Lin? cached; static Lin M => cached ??= new(100); //! FOSSIL005
        static readonly ThreadLocal<Lin> Tl = new(() => new Lin(101)); //! FOSSIL005
    }
}
