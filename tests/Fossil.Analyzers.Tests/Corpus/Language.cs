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

namespace Userops
{
    public readonly struct Dim(int v)
    {
        public int V { get; } = v;

        public static implicit operator Dim(int v) => new(v);
        public static implicit operator long (Dim d) => d.V;
        public static Dim operator *(Dim a, int k) => new(a.V * k);
        public static Dim operator +(Dim a, Dim b) => new(a.V + b.V);
    }

    static class P
    {
        static Lay F(Dim d) => new Lay(d);
        static void Main()
        {
            F(512);
            F(500); //! FOSSIL005
            Dim d = 100;
            _ = new Lay(d * 16);
            _ = new Lay(d * 3); //! FOSSIL005
            _ = new Lay(d + d); //! FOSSIL005
            _ = new Lay(d.V * 16);
        }
    }
}

namespace Outs
{
    static class P
    {
        static bool Try(string n, out int dim, out int heads)
        {
            switch (n)
            {
                case "a":
                    dim = 512;
                    heads = 8;
                    return true;
                case "b":
                    dim = 500;
                    heads = 5;
                    return true;
                default:
                    dim = heads = 0;
                    return false;
            }
        }

        static void Main()
        {
            if (Try("a", out var d, out _))
                _ = new Lay(d);
            if (!Try("b", out var e, out int hh))
                return;
            _ = new Lay(e); //! FOSSIL005
            _ = new Lay(hh * 100); //! FOSSIL005
            int dd;
            Try("zz", out dd, out _);
        }
    }
}

namespace Deconstruct
{
    public record Cfg(int Dim, int Heads, double Mult = 4);
    public class Pt
    {
        public int A = 500, B = 64;
        public void Deconstruct(out int a, out int b)
        {
            a = A;
            b = B;
        }
    }

    static class P
    {
        static void Main()
        {
            var(dim, heads, mult) = new Cfg(512, 8);
            _ = new Lay(dim);
            _ = new Lay((int)(dim * mult));
            var c = new Cfg(500, 5, 2.5);
            (int d, _, double m) = c;
            _ = new Lay(d); //! FOSSIL005
            _ = new Lay((long)(d * m)); //! FOSSIL005
            var(a, b) = new Pt();
            _ = new Lay(a); //! FOSSIL005
            _ = new Lay(b);
            if (c is { Dim: var q, Heads: 5 })
                _ = new Lay(q); //! FOSSIL005
            if (c is (var z, 8, _))
                _ = new Lay(z);
            var r = c switch
            {
                { Heads: 8 } => 512,
                { Heads: 5 } => 501,
                _ => 64
            };
            _ = new Lay(r); //! FOSSIL005
            var s = (c.Dim, c.Heads) switch
            {
                (512, _) => 64,
                (500, 5) => 100,
                _ => 64
            };
            _ = new Lay(s); //! FOSSIL005
            var t = c.Dim switch
            {
                < 100 => 64,
                >= 100 and < 600 => 100,
                _ => 128
            };
            _ = new Lay(t); //! FOSSIL005
            var u = c.Dim switch
            {
                1 or 2 => 100,
                not 500 => 100,
                var n when n > 1000 => 100,
                _ => 128
            };
            _ = new Lay(u);
        }
    }
}

namespace BaseChain2
{
    public class A : Lay
    {
        public A(int w) : base(w)
        {
        }
    }

    public class B : A
    {
        public B(int h, int d) : base(h * d)
        {
        }
    }

    public class D(int q) : B(4, q + 1);
    static class P
    {
        static void Main()
        {
            _ = new D(63);
            _ = new D(64); //! FOSSIL005
            _ = new D(q: 2); //! FOSSIL020
        }
    }
}
