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

namespace BclMutators
{
    static class P
    {
        static void Main()
        {
            int[] a = [100, 64];
            Array.Reverse(a);
            _ = new Lay(a[0]);
            int[] b = [100, 64];
            Array.Sort(b);
            _ = new Lay(b[0]);
            int[] c = [64, 128], d = [100, 100];
            Array.Copy(c, d, 2);
            _ = new Lay(d[0]);
            int[] e = [100, 100];
            c.CopyTo(e, 0);
            _ = new Lay(e[0]);
            int[] f = [100];
            Array.Resize(ref f, 2);
            f[0] = 64;
            _ = new Lay(f[0]);
            int[] g = [100];
            g.AsSpan().Fill(64);
            _ = new Lay(g[0]);
            int[] h = [100];
            Span<int> hs = h;
            hs[0] = 64;
            _ = new Lay(h[0]);
            var l = new List<int>
            {
                100,
                64
            };
            l.Reverse();
            _ = new Lay(l[0]);
            var m = new List<int>
            {
                100
            };
            m.Clear();
            m.AddRange([64]);
            _ = new Lay(m[0]);
            var n = new List<int>
            {
                100,
                64
            };
            n.RemoveAt(0);
            _ = new Lay(n[0]);
            var o = new List<int>
            {
                100,
                64
            };
            n.RemoveAll(x => x == 100);
            o.Sort();
            _ = new Lay(o[0]);
            int[] p = [100, 64];
            Random.Shared.Shuffle(p);
            _ = new Lay(p[0]);
            int[] q = [100, 64];
            (q[0], q[1]) = (q[1], q[0]);
            _ = new Lay(q[0]);
            int[] r = new int[2];
            for (int i = 0; i < 2; i++)
                r[i] = 64 * (i + 1);
            _ = new Lay(r[1]);
            var s = new List<int>
            {
                100
            };
            s[0] += 28;
            _ = new Lay(s[0]);
            int[] t = [100];
            Interlocked.Exchange(ref t[0], 64);
            _ = new Lay(t[0]);
            int[] u = [100];
            Change(u);
            _ = new Lay(u[0]);
            void Change(int[] x) => x[0] = 64;
            int[] v = [100];
            Change2(out v[0]);
            _ = new Lay(v[0]);
            void Change2(out int x) => x = 64;
            int[] w = [100];
            foreach (ref int x in w.AsSpan())
                x = 64;
            _ = new Lay(w[0]);
            var cf = new Cfg();
            cf.Dims.Clear();
            cf.Dims.Add(128);
            _ = new Lay(cf.Dims[0]);
            var y = new List<int>(8)
            {
                100
            };
            y.Insert(0, 64);
            _ = new Lay(y[0]);
            var z = new int[1][];
            z[0] = [100];
            z[0][0] = 64;
            _ = new Lay(z[0][0]);
            unsafe
            {
                int k = 100;
                int* pk = &k;
                *pk = 64;
                _ = new Lay(k);
            }

            unsafe
            {
                int[] k = [100];
                fixed (int* pk = k)
                {
                    pk[0] = 64;
                }

                _ = new Lay(k[0]);
            }

            var kk = 100;
            ref var rk = ref kk;
            rk = 64;
            _ = new Lay(kk);
            var k2 = 100;
            ref var rk2 = ref (Environment.Is64BitProcess ? ref k2 : ref kk);
            rk2 = 64;
            _ = new Lay(k2);
        }
    }
}
