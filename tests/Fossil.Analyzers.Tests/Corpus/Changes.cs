[FossilAdapt("proj", ShardSize = 64)]
public partial class Lay : Module<Tensor, Tensor>
{
    internal readonly Linear proj;
    public Lay(long width) : base("Lay")
    {
        proj = Linear(width, 64);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => proj.forward(x);
}

public class Cfg
{
    public int Hidden { get; set; } = 100;

    public int Heads = 4;
    public List<int> Dims { get; set; } = [64];
}

namespace Tuple
{
    static class P
    {
        static void Main()
        {
            var p = (a: 100, b: 4);
            p.a = 128;
            _ = new Lay(p.a);
            p.Item2 = 100;
            _ = new Lay(p.b * 16);
            _ = new Lay(p.b); //! FOSSIL005
        }
    }
}

namespace Delegate
{
    static class P
    {
        static Lay Build(Action<Cfg> configure)
        {
            var c = new Cfg();
            configure(c);
            return new Lay(c.Hidden);
        }

        static Lay Build2(Func<Cfg, Cfg> configure)
        {
            var c = new Cfg();
            c = configure(c);
            return new Lay(c.Hidden);
        }

        static Lay Build3(Action<Cfg>? configure = null)
        {
            var c = new Cfg
            {
                Hidden = 128
            };
            configure?.Invoke(c);
            return new Lay(c.Hidden);
        }

        static event Action<Cfg>? E;
        static Lay Build4()
        {
            var c = new Cfg();
            E?.Invoke(c);
            return new Lay(c.Hidden);
        }

        static void Main()
        {
            Build(c => c.Hidden = 128);
            Build(c => c.Hidden = 500); //! FOSSIL005
            Build(c => //! FOSSIL005
            {
            });
            Build3();
            Build3(c => c.Hidden = 64);
            Build3(c => c.Hidden = 65); //! FOSSIL005
            Build2(c => new Cfg { Hidden = 64 });
            Build2(c => c); //! FOSSIL005
        }
    }
}

namespace UnknownWrite
{
    static class P
    {
        static void Main(string[] args)
        {
            var c = new Cfg();
            var l = new List<Cfg>();
            l.Add(c);
            Func<int> f = () => args.Length;
            l[f()].Hidden = 128;
            _ = new Lay(c.Hidden);
            var d = new Cfg();
            new List<Cfg>
            {
                d
            }.ForEach(x => x.Hidden = 64);
            _ = new Lay(d.Hidden);
            var e = new Cfg();
            var q = new Queue<Cfg>();
            q.Enqueue(e);
            q.Peek().Hidden = 128;
            _ = new Lay(e.Hidden);
            var g = new Cfg();
            foreach (var o in new[]
            {
                g
            }

            )
                o.Hidden = 64;
            _ = new Lay(g.Hidden);
            var h = new Cfg();
            foreach (var o in Wrap(h))
                o.Hidden = 64;
            _ = new Lay(h.Hidden);
            var i = new Cfg();
            var holder = new Holder
            {
                C = i
            };
            holder.C.Hidden = 64;
            _ = new Lay(i.Hidden);
            var j = new Cfg();
            Set(j);
            _ = new Lay(j.Hidden);
            var k = new Cfg();
            new Setter(k).Go();
            _ = new Lay(k.Hidden);
            var m = new Cfg();
            var w = new Dictionary<string, Cfg>
            {
                ["a"] = m
            };
            w["a"].Hidden = 64;
            _ = new Lay(m.Hidden);
            var n = new Cfg();
            typeof(Cfg).GetProperty("Hidden")!.SetValue(n, 64);
            _ = new Lay(n.Hidden);
            var p = new Cfg();
            dynamic dy = p;
            dy.Hidden = 64;
            _ = new Lay(p.Hidden);
            var r = new Cfg();
            Parallel.For(0, 2, _ => r.Hidden = 64);
            _ = new Lay(r.Hidden);
            var s = new Cfg();
            Task.Run(() => s.Hidden = 64).Wait();
            _ = new Lay(s.Hidden);
            var t = new Cfg
            {
                Hidden = 64
            };
            t = Other(t);
            _ = new Lay(t.Hidden);
            Cfg u = new(), v = u;
            v.Hidden = 64;
            _ = new Lay(u.Hidden);
            var tup = (new Cfg(), 1);
            tup.Item1.Hidden = 64;
            _ = new Lay(tup.Item1.Hidden);
            Lazy<Cfg> lz = new(() => new Cfg());
            lz.Value.Hidden = 64;
            _ = new Lay(lz.Value.Hidden);
            var any = new
            {
                C = new Cfg()
            };
            any.C.Hidden = 64;
            _ = new Lay(any.C.Hidden);
            var z = new Cfg();
            var old = Interlocked.Exchange(ref z, new Cfg { Hidden = 64 });
            _ = new Lay(z.Hidden);
        }

        static Cfg Other(Cfg c) => Environment.Is64BitProcess ? c : new Cfg();
        static void Set(Cfg c) => c.Hidden = 64;
        static IEnumerable<Cfg> Wrap(Cfg c)
        {
            yield return c;
        }

        class Holder
        {
            public Cfg? C;
        }

        class Setter(Cfg c)
        {
            public void Go() => c.Hidden = 64;
        }
    }
}
