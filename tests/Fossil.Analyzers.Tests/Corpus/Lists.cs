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

namespace LocalDict
{
    static class P
    {
        static void Main()
        {
            var sizes = new Dictionary<string, int>
            {
                ["small"] = 512,
                ["odd"] = 500
            };
            _ = new Lay(sizes["small"]);
            _ = new Lay(sizes["odd"]); //! FOSSIL005
            foreach (var(name, width)in sizes)
            {
                _ = new Lay(width); //! FOSSIL005
            }

            if (sizes.TryGetValue("odd", out var w))
                _ = new Lay(w); //! FOSSIL005
            var d2 = new Dictionary<string, int>();
            d2["a"] = 500;
            d2.Add("b", 128);
            _ = new Lay(d2["a"]); //! FOSSIL005
            _ = new Lay(d2["b"]);
        }
    }
}

namespace LinqBlocks
{
    public class Stack : Module<Tensor, Tensor>
    {
        readonly ModuleList<Lay> blocks;
        public Stack(int n, int dim) : base("S")
        {
            blocks = ModuleList(Enumerable.Range(0, n).Select(_ => new Lay(dim)).ToArray());
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            foreach (var b in blocks)
                x = b.forward(x);
            return x;
        }
    }

    public class Stack2 : Module<Tensor, Tensor>
    {
        readonly Lay[] arr;
        readonly List<Lay> list;
        readonly Sequential seq;
        readonly ModuleDict<Lay> dict = new();
        public Stack2(int[] dims) : base("S")
        {
            arr = dims.Select(d => new Lay(d)).ToArray(); //! FOSSIL039
            list = [..dims.Select(d => new Lay(d * 2))]; //! FOSSIL039
            seq = Sequential(dims.Select((d, i) => ($"l{i}", (Module<Tensor, Tensor>)new Lay(d))).ToArray());
            foreach (var(d, i)in dims.Select((d, i) => (d, i)))
                dict.Add($"k{i}", new Lay(d));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => x;
    }

    static class P
    {
        static void Main()
        {
            _ = new Stack(4, 512);
            _ = new Stack(4, 500); //! FOSSIL005
            _ = new Stack(Environment.ProcessorCount, 500); //! FOSSIL005
            _ = new Stack2([64, 128]);
            _ = new Stack2([64, 100]); //! FOSSIL005
            _ = new Stack2(new[] { 64, 101 }); //! FOSSIL005
            var query =
                from i in Enumerable.Range(1, 3)select new Lay(i * 64);
            var q2 =
                from i in Enumerable.Range(1, 3)select new Lay(i * 65); //! FOSSIL005
            var l = query.ToList();
        }
    }
}

namespace Params
{
    public class Mlp : Module<Tensor, Tensor>
    {
        readonly ModuleList<Lay> ls = new();
        public Mlp(params int[] dims) : base("M")
        {
            for (int i = 0; i < dims.Length; ++i)
                ls.Add(new Lay(dims[i]));
            RegisterComponents();
        }

        public Mlp(string n, params ReadOnlySpan<int> dims) : base("M")
        {
            foreach (var d in dims)
                ls.Add(new Lay(d));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => x;
    }

    static class P
    {
        static void Main()
        {
            _ = new Mlp(64, 128);
            _ = new Mlp(64, 100); //! FOSSIL005
            _ = new Mlp();
            _ = new Mlp("x", 64, 128);
            _ = new Mlp("x", 64, 100); //! FOSSIL005
        }
    }
}

namespace Indices
{
    static class P
    {
        static void Main()
        {
            int[] dims = [64, 128, 500];
            _ = new Lay(dims[^1]); //! FOSSIL005
            _ = new Lay(dims[^2]);
            _ = new Lay(dims.Last()); //! FOSSIL005
            _ = new Lay(dims.First());
            _ = new Lay(dims[..2][1]);
            _ = new Lay(dims[1..][1]); //! FOSSIL005
            var list = new List<int>
            {
                64,
                500
            };
            _ = new Lay(list[^1]); //! FOSSIL005
            _ = new Lay(list[list.Count - 1]); //! FOSSIL005
            _ = new Lay(dims[dims.Length - 2]);
            _ = new Lay(dims.Max()); //! FOSSIL005
            _ = new Lay(dims.Min());
            _ = new Lay(dims.Sum()); //! FOSSIL005
            int[] a = [..dims, 600];
            _ = new Lay(a[3]); //! FOSSIL005
            int[] b = [64, ..dims[..2]];
            _ = new Lay(b[2]);
            var(x, y) = (dims[0], dims[2]);
            _ = new Lay(y); //! FOSSIL005
            foreach (var(f, s)in dims.Zip(dims.Skip(1)))
                _ = new Lay(f);
            foreach (var(f, s)in dims.Zip(dims.Skip(1)))
                _ = new Lay(s); //! FOSSIL005
            _ = new Lay(dims.Aggregate(1, (p, q) => p + q)); //! FOSSIL005
        }
    }
}
