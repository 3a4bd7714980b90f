[FossilAdapt("experts", "gates", ShardSize = 32)]
public partial class Moe : Module<Tensor, Tensor>
{
    public readonly ModuleList<Linear> experts = new();
    public readonly Linear[] gates;
    public Moe(int d, int n, params int[] g) : base("moe")
    {
        foreach (var i in Enumerable.Range(0, n)) experts.Add(Linear(d, d));
        gates = g.Select(w => Linear(w, n)).ToArray();
        for (int i = 0; i < gates.Length; i++) register_module($"gates_{i}", gates[i]);
        RegisterComponents();
    }
    public override Tensor forward(Tensor x) { foreach (var e in experts) x = e.forward(x); return gates[^1].forward(x); }
}
namespace Loops
{
    static class L
    {
        static object A() => new Moe(32, 2, 32, 64);
        static object B() => new Moe(33, 2); //! FOSSIL005
        static object C() => new Moe(32, 2, 64, 65, 96); //! FOSSIL005
        static object D() => new Moe(33, 0, [64, 96]);
        static object E() => new Moe(32, 1, [.. Enumerable.Range(1, 3).Select(i => i * 32)]);
        static object F() => new Moe(32, 1, [.. Enumerable.Range(1, 3).Select(i => i * 20)]); //! FOSSIL005 //! FOSSIL020
        static object G() { var w = new List<int>(); for (var k = 32; k <= 128; k *= 2) w.Add(k); return new Moe(32, 2, w.ToArray()); }
        static object H() { var w = new List<int>(); for (var k = 50; k <= 128; k *= 2) w.Add(k); return new Moe(32, 2, w.ToArray()); } //! FOSSIL005
        static object I() { int[] dims = [784, 256, 100]; return new Moe(dims[^1], 1); } //! FOSSIL005
        static object J() { int[] dims = [784, 256, 128]; return new Moe(dims[^1], 1, dims[1..]); }
        static object K() { int[] dims = [784, 100, 128]; return new Moe(64, 1, dims[1..^1]); } //! FOSSIL005
        static object M() { var dims = new[] { 128, 256 }; Array.Resize(ref dims, 3); dims[2] = 100; return new Moe(64, 1, dims); }
        static object N() { Span<int> s = stackalloc int[] { 64, 100 }; return new Moe(s[1], 1); } //! FOSSIL005
        static object O() { var d = 64; while (d < 1000) d += d; return new Moe(d, 1, d + 1); } //! FOSSIL005
        static object P() { var d = 100; do { d--; } while (d % 32 != 0); return new Moe(d, 1); }
        static object Q() { int[,] t = { { 64, 32 }, { 100, 32 } }; return new Moe(t[1, 0], 1); } //! FOSSIL005
        static object R() { var q = new Queue<int>([64, 100]); q.Dequeue(); return new Moe(q.Dequeue(), 1); }
        static object S() { var st = new Stack<int>(); st.Push(100); st.Push(64); return new Moe(st.Pop(), 1); }
        static object T() { var set = new SortedSet<int> { 100, 64 }; return new Moe(set.First(), 1); }
        static object U() { var ws = "64,96,100".Split(',').Select(int.Parse).ToArray(); return new Moe(ws[0], 1, ws); } // not followed
        static object V() { var ws = (from i in Enumerable.Range(1, 4) where i % 2 == 0 orderby i descending select i * 32).ToList(); return new Moe(ws[0], 1); }
        static object W() { var ws = (from i in Enumerable.Range(1, 4) where i % 2 == 0 let k = i * 25 select k).ToList(); return new Moe(ws[1], 1); } // not followed
        static IEnumerable<int> Pow() { for (var i = 5; i < 8; i++) yield return 1 << i; }
        static object X() => new Moe(32, 1, Pow().ToArray());
        static object Y() => new Moe(32, 1, Pow().Select(x => x - 2).ToArray()); //! FOSSIL005 //! FOSSIL020
        static object Z() => new Moe(new[] { 3, 1, 2 }.OrderBy(x => x).First() * 32, 1);
        static object Z2() => new Moe(new[] { 3, 1, 2 }.Order().Last() * 33, 1); // not followed
        static object Z3() => new Moe(new[] { 30, 100 }.Max(), 1); //! FOSSIL005
        static object Z4() => new Moe((int)new[] { 64, 128 }.Average(), 1);
        static object Z5() => new Moe(new[] { 64, 100 }.Aggregate((a, b) => a * b / 64), 1); //! FOSSIL005
        static object Z6() => new Moe(new[] { 64, 100 }.Sum() - 36, 1);
        static object Z7() => new Moe(Enumerable.Repeat(10, 10).Sum(), 1); //! FOSSIL005
        static object Z8() => new Moe(Enumerable.Range(0, 5).Zip(Enumerable.Range(60, 5)).Select(p => p.First + p.Second).Last(), 1); //! FOSSIL005
        static object Z9() => new Moe(Enumerable.Range(64, 37).Last(), 1); //! FOSSIL005
        static object Za() => new Moe(new[] { 64, 100 }.Chunk(1).Last()[0], 1);
        static object Zb() => new Moe(new[] { (64, "a"), (100, "b") }.MaxBy(p => p.Item1).Item1, 1);
        static object Zc() => new Moe(new[] { 64, 100, 100 }.Distinct().Count() * 50, 1);
    }
}
namespace ListFills
{
    [FossilAdapt("lin")]
    public partial class A : Module<Tensor, Tensor>
    {
        readonly ModuleList<Linear> lin;
        public A() : base("a") { lin = ModuleList(Linear(64, 64), Linear(100, 64)); RegisterComponents(); } //! FOSSIL005
        public override Tensor forward(Tensor x) => lin[0].forward(x);
    }
    [FossilAdapt("lin")]
    public partial class B : Module<Tensor, Tensor>
    {
        readonly ModuleList<Module<Tensor, Tensor>> lin = [];
        public B(int depth) : base("b")
        {
            for (var i = 0; i < depth; ++i)
            {
                var w = i == 0 ? 100 : 64;
                lin.Add(Linear(w, 64));
            }
            RegisterComponents();
        }
        public override Tensor forward(Tensor x) => lin[0].call(x);
    }
    [FossilAdapt("lin")]
    public partial class C : Module<Tensor, Tensor>
    {
        readonly Linear[] lin = new Linear[3];
        public C() : base("c")
        {
            int w = 64;
            for (int i = 0; i < lin.Length; i++, w = w * 3 / 2) { lin[i] = Linear(w, 64); register_module("lin" + i, lin[i]); } //! FOSSIL005
        }
        public override Tensor forward(Tensor x) => lin[0].call(x);
    }
    [FossilAdapt("lin")]
    public partial class D : Module<Tensor, Tensor>
    {
        readonly List<Linear> lin;
        public D(int hidden, int layers) : base("d")
        {
            lin = Enumerable.Range(0, layers).Select(i => Linear(hidden * (i + 1), hidden)).ToList();
            foreach (var (i, l) in lin.Index()) register_module($"l{i}", l);
        }
        public override Tensor forward(Tensor x) => lin.Aggregate(x, (h, l) => l.forward(h));
        public static D Make() => new(50, 3); //! FOSSIL005 //! FOSSIL020
        public static D Make2() => new(64, 3);
        public static D Make3() => new(32, 3); //! FOSSIL005 //! FOSSIL020
    }
}
