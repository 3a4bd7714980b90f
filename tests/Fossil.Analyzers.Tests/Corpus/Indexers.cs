[FossilAdapt("lin", ShardSize = 64)]
public partial class Lin : Module<Tensor, Tensor>
{
    public readonly Linear lin;
    public Lin(int width, int outs = 8) : base("lin") { lin = Linear(width, outs); RegisterComponents(); }
    public override Tensor forward(Tensor x) => lin.forward(x);
}
class Table { readonly Dictionary<string, int> d = new() { ["a"] = 100 }; int one = 100; public int this[string k] { get => d[k]; set => d[k] = value; } public ref int this[int i] => ref one; public ref int One() => ref one; public int Get => one; public int Cap { get => one; set { one = Math.Max(128, value); } } }
static class X {
   static object A() { var t = new Table(); t["a"] = 128; return new Lin(t["a"]); }
   static object B() { var t = new Table(); t[0] = 128; return new Lin(t.Get); }
   static object C() { var t = new Table(); t.One() = 128; return new Lin(t.Get); }
   static object D() { var t = new Table(); ref var r = ref t.One(); r = 128; return new Lin(t.Get); }
   static object E(bool b) { int x = 100, y = 100; (b ? ref x : ref y) = 128; return new Lin(x); }
   static ref int Max(ref int a, ref int b) { if (a > b) return ref a; return ref b; }
   static object F() { int x = 100, y = 90; Max(ref x, ref y) = 128; return new Lin(x); }
   static object G() { var t = new Table(); t["a"] += 28; return new Lin(t["a"]); }
   static object H() { var t = new Table(); t.Cap = 5; return new Lin(t.Get); }
   static object I() { var t = new Table { ["a"] = 128 }; return new Lin(t["a"]); }
   static object J() { var t = new Table(); t["a"]++; t["a"] += 27; return new Lin(t["a"]); }
   static object K() { var t = new Table(); return new Lin(t["a"]); } //! FOSSIL005
   static object L() { var t = new Table(); t["b"] = 100; return new Lin(t["b"]); } //! FOSSIL005
}
