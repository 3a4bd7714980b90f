// Nothing here is wrong for certain: each width may be another one at run time.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
[FossilAdapt("lin", ShardSize = 64)]
public partial class Lin : Module<Tensor, Tensor>
{
    public readonly Linear lin;
    public Lin(int width, int outs = 8) : base("lin") { lin = Linear(width, outs); RegisterComponents(); }
    public override Tensor forward(Tensor x) => lin.forward(x);
}
namespace Mutable
{
    public class Settings { public int Dim = 100; public int Prop { get; set; } = 100; public virtual int Virt => 100; public int Calc { get; private set; } = 100; public void Load(string s) => Calc = int.Parse(s); public event Action? Changed; public void Raise() => Changed?.Invoke(); public int[] Arr = [100, 64]; public List<int> Lst { get; } = [100]; public Dictionary<string, int> Map { get; } = new() { ["a"] = 100 }; }
    public class Derived : Settings { public override int Virt => 128; public Derived() { Dim = 64; } }
    class A
    {
        Settings s = new(); int dim = 100; static int count = 100; readonly Settings ro = new(); readonly List<int> list = [100]; protected int prot = 100; public int Pub { get; set; } = 100;
        public A() { s.Raise(); }
        public void Configure(int d) { dim = d; s.Dim = d; ro.Dim = d; list[0] = d; }
        object M1() => new Lin(dim);
        object M2() => new Lin(s.Dim);
        object M3() => new Lin(ro.Dim);
        object M4() => new Lin(list[0]);
        object M5() => new Lin(prot);
        object M6() => new Lin(Pub);
        object M7() => new Lin(Interlocked.Increment(ref count));
        object M8(Settings p) => new Lin(p.Virt);
        object M9() { Settings x = Get(); return new Lin(x.Virt); }
        static Settings Get() => Environment.TickCount > 0 ? new Derived() : new Settings();
        object M10() { var x = new Settings(); x.Load(Console.ReadLine()!); return new Lin(x.Calc); }
        object M11() { var x = new Settings(); x.Changed += () => x.Dim = 128; x.Raise(); return new Lin(x.Dim); }
        object M12() { var x = new Settings(); Task.Run(() => x.Dim = 128).Wait(); return new Lin(x.Dim); }
        object M13() { var x = new Settings(); foreach (var f in typeof(Settings).GetFields()) f.SetValue(x, 128); return new Lin(x.Dim); }
        object M14() { var x = new Settings(); ref var r = ref x.Dim; r = 128; return new Lin(x.Dim); }
        object M15() { var x = new Settings(); Fill(out x.Dim); return new Lin(x.Dim); }
        static void Fill(out int i) => i = Environment.ProcessorCount * 64;
        object M16() { var x = new Settings(); x.Arr.AsSpan().Fill(128); return new Lin(x.Arr[0]); }
        object M17() { var x = new Settings(); Array.Sort(x.Arr); return new Lin(x.Arr[0]); }
        object M18() { var x = new Settings(); x.Lst.Sort(); x.Lst.Insert(0, 64); return new Lin(x.Lst[0]); }
        object M19() { var x = new Settings(); x.Lst.RemoveAll(i => i == 100); x.Lst.Add(64); return new Lin(x.Lst[0]); }
        object M20() { var x = new Settings(); x.Map["a"] = 128; return new Lin(x.Map["a"]); }
        object M21() { var x = new Settings(); CollectionsMarshal.GetValueRefOrAddDefault(x.Map, "a", out _) = 128; return new Lin(x.Map["a"]); }
        object M22() { var x = new Settings(); CollectionsMarshal.AsSpan(x.Lst)[0] = 128; return new Lin(x.Lst[0]); }
        object M23() { var x = new Settings(); Unsafe.As<Settings>(x).Dim = 128; return new Lin(x.Dim); }
        object M24() { var x = new Settings(); object y = x; ((Settings)y).Dim = 128; return new Lin(x.Dim); }
        object M25() { var x = new Settings(); var all = new List<Settings> { x }; all[0].Dim = 128; return new Lin(x.Dim); }
        object M26() { var x = new Settings(); var all = new List<Settings> { x }; all.ForEach(q => q.Dim = 128); return new Lin(x.Dim); }
        object M27() { var x = new Settings(); foreach (var q in new[] { x }) q.Dim = 128; return new Lin(x.Dim); }
        object M28() { var x = new Settings(); new[] { x }.Select(q => q.Dim = 128).ToList(); return new Lin(x.Dim); }
        object M29() { var x = new Settings(); (x, var z) = (new Derived(), 1); return new Lin(x.Dim); }
        object M30() { var x = new Settings(); dynamic d = x; d.Dim = 128; return new Lin(x.Dim); }
        object M31() { var x = new Settings(); Action<Settings> set = q => q.Dim = 128; set(x); return new Lin(x.Dim); }
        object M32() { var x = new Settings(); using (new Scope(() => x.Dim = 128)) { } return new Lin(x.Dim); }
        sealed class Scope(Action end) : IDisposable { public void Dispose() => end(); }
        object M33() { var w = 100; var t = new Thread(() => w = 128); t.Start(); t.Join(); return new Lin(w); }
        object M34() { var w = 100; void Set() { w = 128; } Action a = Set; a(); return new Lin(w); }
        object M35() { var w = 100; try { w = int.Parse("x"); } catch (FormatException) { w = 128; } return new Lin(w); }
        object M36() { var w = 100; try { Risky(); w = 64; } catch { w = 128; } return new Lin(w); }
        static void Risky() { if (DateTime.Now.Hour > 3) throw new Exception(); }
        object M37(string[] args) { var w = 100; if (args is [var f, ..]) w = f.Length * 64; else w = 64; return new Lin(w); }
        object M38() { var w = 100; again: if (w % 64 != 0) { w++; goto again; } return new Lin(w); }
        object M39() { var e = Gen().GetEnumerator(); e.MoveNext(); e.MoveNext(); return new Lin(e.Current); }
        static IEnumerable<int> Gen() { yield return 100; yield return 128; }
        object M40() { foreach (var w in Gen()) { if (w == 100) continue; return new Lin(w); } return null!; }
        object M41() => new Lin(Gen().Skip(1).First());
        object M42() => new Lin(Gen().First(w => w % 64 == 0));
        object M43() => new Lin(Random.Shared.Next(2) == 0 ? 100 : 128);
        object M44() { Span<int> s = [100]; s[0] = 128; return new Lin(s[0]); }
        object M45() { Span<int> s = stackalloc int[1]; s.Fill(64); return new Lin(s[0]); }
        unsafe object M46() { var a = new[] { 100 }; fixed (int* p = a) p[0] = 128; return new Lin(a[0]); }
        object M47() { var a = new[] { 100 }; Buffer.BlockCopy(new[] { 128 }, 0, a, 0, 4); return new Lin(a[0]); }
        object M48() { var a = new[] { 100 }; new[] { 128 }.CopyTo(a, 0); return new Lin(a[0]); }
        object M49() { var a = new[] { 100, 128 }; a = a.Reverse().ToArray(); return new Lin(a[0]); }
        object M50() { var a = new[] { 100, 128 }; Array.Reverse(a); return new Lin(a[0]); }
        object M51() { var a = new int[2]; a.SetValue(128, 0); return new Lin(a[0]); }
        object M52() { var (a, b) = (100, 128); (a, b) = (b, a); return new Lin(a); }
        object M53() { var st = new Stack<int>([128, 100]); st.Pop(); return new Lin(st.Peek()); }
        object M54() { var ll = new LinkedList<int>([100]); ll.AddFirst(128); return new Lin(ll.First!.Value); }
        object M55() { var h = new HashSet<int> { 100 }; h.Clear(); h.Add(128); return new Lin(h.Single()); }
        object M56() { var s = new Lazy<int>(() => 100); return new Lin(s.Value * 64); }
        object M57() { int? n = 100; n = n > 50 ? null : n; return new Lin(n ?? 128); }
        object M58() { var s = new S { W = 100 }; Mut(ref s); return new Lin(s.W); }
        struct S { public int W; public void Grow() => W = 128; }
        static void Mut(ref S s) => s.W = 128;
        object M59() { var s = new S { W = 100 }; s.Grow(); return new Lin(s.W); }
        object M60() { var a = new S[1]; a[0].W = 100; a[0].Grow(); return new Lin(a[0].W); }
        object M61() { var x = new Settings(); Swap(ref x); return new Lin(x.Dim); }
        static void Swap(ref Settings s) => s = new Derived();
        object M62() { var t = (w: 100, h: 1); Change(ref t); return new Lin(t.w); }
        static void Change(ref (int w, int h) t) => t.w = 64;
        object M63() { var t = (w: 100, h: 1); Change(ref t); t = t with { w = 128 }; return new Lin(t.w); }
        object M64() => new Lin(Volatile.Read(ref count));
        object M65() => new Lin((int)Math.Round(99.6 + 28));
        object M66() => new Lin(int.Max(100, 128));
        object M67() => new Lin("100".Length * 64);
        object M68() => new Lin(checked(100 + 28));
        object M69() { unchecked { return new Lin((int)(uint.MaxValue + 65)); } }
        object M70() => new Lin(BitConverter.ToInt32([128, 0, 0, 0]));
        object M71() => new Lin((int)long.RotateLeft(1, 7));
        object M72() => new Lin(Convert.ToInt32("128"));
        object M73() => new Lin(Convert.ToInt32(127.5));
        object M74() => new Lin((int)127.99f + 1);
        object M75() => new Lin((int)Math.Round(126.5) + 2);
        object M76() => new Lin((int)Math.Round(2.5, MidpointRounding.AwayFromZero) * 64);
        object M77() => new Lin(-7 / 2 + 67);
        object M78() => new Lin(-7 % 4 + 67);
        object M79() => new Lin((-130 >> 1) + 129);
        object M80() => new Lin((int)(0.1 + 0.2 > 0.3 ? 128 : 100));
        object M81() => new Lin((int)(0.1f + 0.2f) + 64);
        object M82() => new Lin((int)(1.1m * 100 + 18));
        object M83() => new Lin((byte)128 + (sbyte)-64);
        object M84() => new Lin(('a' + 31));
        object M85() => new Lin(true ^ false ? 64 : 100);
        object M86() => new Lin(100 switch { > 50 and < 99 => 100, 100 => 128, _ => 1 });
        object M87() => new Lin("abc" is ['a', ..] ? 64 : 100);
    }
}
