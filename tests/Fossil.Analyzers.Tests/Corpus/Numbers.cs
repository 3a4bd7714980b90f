[FossilAdapt("w", ShardSize = 64)]
public sealed partial class Dense : Module<Tensor, Tensor>
{
    public readonly Linear w;
    public Dense(long i, long o = 64) : base("Dense") { w = Linear(i, o); RegisterComponents(); }
    public override Tensor forward(Tensor x) => w.forward(x);
}
namespace OtherAssembly
{
    static class U
    {
        const int Own = 1000 + 24;
        static readonly Dense C = new(Own);
        static readonly Dense D = new(Own + 1); //! FOSSIL005
    }
}
namespace LlamaFfn
{
    static class Sizes
    {
        public const int Hidden = 4096;
        public static readonly int Ffn = 256 * ((int)(2 * Hidden * 4 / 3.0 + 255) / 256);
        public static int RoundUp(int n, int m) => (n + m - 1) / m * m;
        public static int RoundDown(int n, int m) { var q = Math.DivRem(n, m, out var rem); return rem == 0 ? n : q * m; }
    }
    public class P
    {
        readonly Dense a = new(Sizes.Ffn);                                   // 11008 = 172*64
        readonly Dense b = new(8 * ((int)(2 * Sizes.Hidden * 4 / 3.0) / 8)); //! FOSSIL005
        readonly Dense c = new(Sizes.RoundUp(10922, 64));
        readonly Dense d = new(Sizes.RoundUp(10922, 100)); //! FOSSIL005
        readonly Dense e = new(Sizes.RoundDown(1000, 64));
        readonly Dense f = new(Sizes.RoundDown(1000, 100)); //! FOSSIL005
        readonly Dense g = new((long)Math.Ceiling(4096 * 2.5)); // 10240
        readonly Dense h = new((long)Math.Round(1000.4)); //! FOSSIL005
        readonly Dense i = new(checked((int)(2.0f * 500))); //! FOSSIL005
        readonly Dense j = new(unchecked((byte)(256 + 100))); //! FOSSIL005
        readonly Dense k = new(Math.Clamp(5000, 64, 100)); //! FOSSIL005
        readonly Dense l = new(Math.Max(Math.Min(2048, 100), 70)); //! FOSSIL005
        readonly Dense m = new((short)1000 / 10 % 64 * 3); //! FOSSIL005
        readonly Dense n = new(1 << 10 | 1); //! FOSSIL005
        readonly Dense o = new(~-1025); // 1024
        readonly Dense p = new('d'); //! FOSSIL005
        readonly Dense q = new((int)Math.Pow(10, 3)); //! FOSSIL005
        readonly Dense r = new((int)MathF.Sqrt(1_000_000)); //! FOSSIL005
        readonly Dense s = new(int.Parse("1000")); //! FOSSIL005
        readonly Dense t = new("thousand".Length * 100); //! FOSSIL005
        readonly Dense u = new(nameof(Sizes).Length * 64);
        readonly Dense v = new(sizeof(long) * 100); //! FOSSIL005
        readonly Dense w = new(default(int) + 100); //! FOSSIL005
        readonly Dense x = new((int)(decimal)99.9m); //! FOSSIL005
        readonly Dense y = new(-(-100)); //! FOSSIL005
        readonly Dense z = new(1000 >>> 1); //! FOSSIL005
    }
}
namespace Cond
{
    static class F
    {
        const bool Big = true;
        static readonly string Mode = "base";
        public static Dense A() => new(Big ? 1000 : 1024); //! FOSSIL005
        public static Dense B() => new(Mode == "large" ? 1000 : 1024);
        public static Dense C() => new(Mode switch { "base" => 768, "large" => 1000, _ => 1 });
        public static Dense D() => new(Mode switch { "base" when Big => 1000, _ => 1024 }); //! FOSSIL005
        public static Dense E(bool b) => new(b ? 1000 : 1024);
        public static Dense G(bool b) => new(b ? 1000 : 1001); //! FOSSIL005
        public static Dense H(int n) => new(n is > 100 and < 200 ? 1000 : n);
        public static Dense I(int? n) => new(n ?? 1000);
        public static Dense J() { int? n = null; return new(n ?? 1000); } //! FOSSIL005
        public static Dense K() { int? n = 1000; return new(n.Value); } //! FOSSIL005
        public static Dense L() { int? n = 1000; return new(n.GetValueOrDefault()); } //! FOSSIL005
        public static Dense M() { int? n = 1000; if (n is { } v) return new(v); return new(64); } //! FOSSIL005
        public static Dense N() { int? n = 1000; return n.HasValue ? new(n.Value + 24) : new(1); }
        public static Dense O(int n) { if (n % 64 != 0) throw new ArgumentException(); return new(n); }
        public static Dense Q(string s) { if (!int.TryParse(s, out var w)) w = 1000; return new(w); }
    }
}
namespace Deconstruct
{
    record struct Shape(int In, int Out);
    class Pair { public int L = 1000; public int R = 64; public void Deconstruct(out int l, out int r) { l = L; r = R; } }
    static class T
    {
        static (int hidden, int heads) Dims() => (1000, 8);
        static (int, (int, int)) Nested => (1, (1000, 64));
        public static Dense A() { var (h, n) = Dims(); return new(h, n); } //! FOSSIL005
        public static Dense B() { (int _, (var a, var b)) = Nested; return new(b, a); }
        public static Dense C() { (int _, (var a, var b)) = Nested; return new(a, b); } //! FOSSIL005
        public static Dense D() { var (i, o) = new Shape(1000, 64); return new(i, o); } //! FOSSIL005
        public static Dense E() { var (l, r) = new Pair(); (l, r) = (r, l); return new(l, r); }
        public static Dense G() { var (l, r) = new Pair(); return new(l, r); } //! FOSSIL005
        public static Dense H() { var t = (a: 1, b: 1000); t.a += t.b; t.b = t.a - 1; return new(t.b); } //! FOSSIL005
        public static Dense I() { foreach (var (i, o) in new[] { (64, 1), (1000, 64) }) { if (i > 100) return new(i, o); } return null!; } //! FOSSIL005
        public static Dense J() { var s = new Shape(1000, 64) with { In = 128 }; return new(s.In); }
        public static Dense K() { var d = Dims(); return new(d.Item1); } //! FOSSIL005
        public static Dense L() { var x = 1000; var y = 64; (x, y) = (y, x); return new(x, y); }
    }
}
