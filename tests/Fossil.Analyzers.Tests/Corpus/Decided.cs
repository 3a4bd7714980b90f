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

namespace ReadonlyField
{
    public class Factory
    {
        readonly int hidden = 500;
        static readonly Cfg S = new()
        {
            Hidden = 128
        };
        readonly Cfg cfg = new()
        {
            Hidden = 300
        };
        int Get { get; } = 100;

        readonly int mixed = 100;
        readonly int viaCtor;
        int mutable = 100;
        int Auto { get; set; } = 100;

        int Init { get; init; } = 100;

        public Factory()
        {
            mixed = 64;
            viaCtor = 100;
        }

        public Lay Make() => new Lay(hidden); //! FOSSIL005
        public Lay Make2() => new Lay(S.Hidden);
        public Lay Make3() => new Lay(cfg.Hidden);
        public Lay Make4() => new Lay(Get); //! FOSSIL005
        public Lay Make5() => new Lay(mixed);
        public Lay Make6() => new Lay(mutable);
        public Lay Make7() => new Lay(Auto);
        public Lay Make8() => new Lay(Init);
    }
}

namespace Virtual
{
    public abstract class Base : Module<Tensor, Tensor>
    {
        protected abstract int Dim { get; }
        protected virtual int Mult => 4;

        readonly Lay lay;
        protected Base(string n) : base(n)
        {
            lay = Make(Dim * Mult);
            RegisterComponents();
        }

        protected virtual Lay Make(int w) => new Lay(w);
        public override Tensor forward(Tensor x) => lay.forward(x);
    }

    public class G : Base
    {
        protected override int Dim => 16;

        public G() : base("G")
        {
        }
    }

    public class H : Base
    {
        protected override int Dim => 17;

        public H() : base("H")
        {
        }
    }

    public sealed class I : Base
    {
        protected override int Dim => 18;

        public I() : base("I") //! FOSSIL005
        {
        }
    }

    public class J : Base
    {
        protected override int Dim { get; } = 15;
        protected override int Mult => 5;

        public J() : base("J")
        {
        }
    }

    static class P
    {
        static void Main()
        {
            _ = new G();
            _ = new H(); //! FOSSIL005
            _ = new J(); //! FOSSIL005
        }
    }
}

namespace Generic
{
    public interface IPreset
    {
        static abstract int Dim { get; }
    }

    public class Small : IPreset
    {
        public static int Dim => 512;
    }

    public class Odd : IPreset
    {
        public static int Dim => 500;
    }

    static class Factory<T>
        where T : IPreset
    {
        public static Lay Make() => new Lay(T.Dim);
    }

    static class P
    {
        static T Id<T>(T x) => x;
        static void Main()
        {
            _ = Factory<Small>.Make();
            _ = Factory<Odd>.Make(); //! FOSSIL005
            _ = new Lay(Id(128));
            _ = new Lay(Id(100)); //! FOSSIL005
        }
    }
}

namespace Extension
{
    public static class Ext
    {
        extension(Cfg c)
        {
            public int Ffn => c.Hidden * 4;

            public Lay Layer() => new Lay(c.Hidden);
            public static Cfg Big => new()
            {
                Hidden = 1024
            };
        }

        public static Lay Old(this Cfg c, int mult = 1) => new Lay(c.Hidden * mult);
    }

    static class P
    {
        static void Main()
        {
            var c = new Cfg
            {
                Hidden = 64
            };
            _ = new Lay(c.Ffn);
            _ = c.Layer();
            _ = c.Old();
            _ = new Lay(Cfg.Big.Hidden);
            var d = new Cfg
            {
                Hidden = 50
            };
            _ = new Lay(d.Ffn); //! FOSSIL005
            _ = d.Layer(); //! FOSSIL020
            _ = d.Old(3); //! FOSSIL005
            _ = d.Old(32);
        }
    }
}

namespace Strings
{
    static class P
    {
        static int Dim(string name) => name.ToLowerInvariant() switch
        {
            "base" => 512,
            "odd" => 500,
            _ => 64
        };
        static int Dim2(string name)
        {
            if (name.StartsWith("vit_b"))
                return 768;
            if (name.Contains("odd"))
                return 500;
            return 64;
        }

        static void Main()
        {
            _ = new Lay(Dim("BASE"));
            _ = new Lay(Dim2("vit_b_16"));
            _ = new Lay(Dim("ODD")); //! FOSSIL005
            _ = new Lay(Dim2("my_odd")); //! FOSSIL005
            _ = new Lay(int.Parse("500")); //! FOSSIL005
            _ = new Lay("abc".Length * 100); //! FOSSIL005
        }
    }
}

namespace Async
{
    static class P
    {
        static async Task<Lay> Make(int w)
        {
            await Task.Yield();
            return new Lay(w);
        }

        static async Task Main()
        {
            var a = await Make(512);
            var b = await Make(500); //! FOSSIL005
            var c = await Make(100).ConfigureAwait(false); //! FOSSIL005
        }
    }
}

namespace ModuleLists
{
    [FossilAdapt("list", "arr", "dict2", ShardSize = 64)]
    public partial class M : Module<Tensor, Tensor>
    {
        readonly ModuleList<Linear> list;
        readonly Linear[] arr;
        readonly List<Linear> dict2 = new();
        public M(int n, int d) : base("M")
        {
            list = new ModuleList<Linear>();
            arr = new Linear[n];
            for (var i = 0; i < n; i++)
            {
                list.Add(Linear(d, d));
                arr[i] = Linear(d * 2, d);
                register_module("a" + i, arr[i]);
            }

            var k = 0;
            while (k < n)
            {
                dict2.Add(Linear(d, d));
                register_module("d" + k, dict2[k]);
                k++;
            }

            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => x;
    }

    static class P
    {
        static void Main()
        {
            _ = new M(2, 64);
            _ = new M(Environment.ProcessorCount, 64);
            _ = new M(2, 65); //! FOSSIL005
            _ = new M(Environment.ProcessorCount, 65); //! FOSSIL005
            _ = new M(2, 32); //! FOSSIL020
        }
    }
}

namespace AggregateList
{
    [FossilAdapt("list", ShardSize = 64)]
    public partial class M : Module<Tensor, Tensor>
    {
        readonly ModuleList<Linear> list = [];
        public M(int input, IReadOnlyList<int> hidden, int output) : base("M")
        {
            var prev = input;
            foreach (var h in hidden)
            {
                list.Add(Linear(prev, h));
                prev = h;
            }

            list.Add(Linear(prev, output));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => x;
    }

    static class P
    {
        static void Main()
        {
            _ = new M(64, [128, 256], 10);
            _ = new M(64, new List<int> { 128 }, 10);
            _ = new M(64, Enumerable.Repeat(128, 3).ToList(), 10);
            _ = new M(64, [], 10);
            _ = new M(784, [128, 256], 10); //! FOSSIL005
            _ = new M(64, [128, 100], 10); //! FOSSIL005
            _ = new M(64, new List<int> { 100 }, 10); //! FOSSIL005
            _ = new M(64, new[] { 128, 100 }, 10); //! FOSSIL005
            var hs = new List<int>();
            hs.Add(128);
            hs.Add(100);
            _ = new M(64, hs, 10); //! FOSSIL005
            _ = new M(64, Enumerable.Repeat(100, 3).ToArray(), 10); //! FOSSIL005
        }
    }
}
