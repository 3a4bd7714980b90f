[FossilAdapt("p", ShardSize = 64)]
public partial class L : Module<Tensor, Tensor>
{
    readonly Linear p;
    public L(int w) : base("L")
    {
        p = Linear(w, 1);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => p.call(x);
}

static class P
{
    static Func<int, L> Curry(int scale) => w => new L(w * scale);
    static (L first, L second) Pair(int a, int b) => (new L(a), new L(b));
    static L Rec(int n) => n <= 1 ? new L(64) : Rec(n - 1);
    static int Fib(int n) => n < 2 ? n : Fib(n - 1) + Fib(n - 2);
    static T With<T>(T x, Action<T> f)
    {
        f(x);
        return x;
    }

    static L? Try(int w)
    {
        try
        {
            return new L(w);
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    static IEnumerable<L> Many(int from, int to, int step)
    {
        for (var i = from; i <= to; i += step)
            yield return new L(i);
    }

    static void Main()
    {
        _ = Curry(4)(16);
        _ = Curry(4)(15); //! FOSSIL020
        _ = Pair(64, 128);
        _ = Pair(64, 100); //! FOSSIL005
        _ = Rec(5);
        _ = new L(Fib(6) * 8);
        _ = Try(64);
        _ = Try(65); //! FOSSIL005
        foreach (var l in Many(64, 256, 64))
        {
        }

        var bad = Many(64, 256, 32).ToList(); //! FOSSIL005
        int Local(int w, int k = 2)
        {
            return w * k;
        }

        _ = new L(Local(32));
        _ = new L(Local(33)); //! FOSSIL005
        _ = new L(Local(w: 10, k: 10)); //! FOSSIL005
        Func<int, int> twice = x => x * 2, four = x => twice(twice(x));
        _ = new L(four(16));
        _ = new L(four(17)); //! FOSSIL005
        var list = new List<Func<L>>();
        for (var i = 1; i < 3; i++)
        {
            var w = i * 64;
            list.Add(() => new L(w));
        }

        var ws = (small: 64, large: 100);
        _ = new L(ws.small);
        _ = new L(ws.large); //! FOSSIL005
        using (var l = new L(100)) //! FOSSIL005
        {
        }

        lock (list)
        {
            _ = new L(100); //! FOSSIL005
        }

        L? late = null;
        late ??= new L(100); //! FOSSIL005
        object o = new L(100); //! FOSSIL005
        var arr = new L[]
        {
            new(64),
            new(100) //! FOSSIL005
        };
        var dict = new Dictionary<string, L>
        {
            ["a"] = new(100) //! FOSSIL005
        };
        _ = string.Format("{0}", new L(100)); //! FOSSIL005
        _ = args()is { Length: > 3 } ? new L(100) : new L(64); //! FOSSIL005
        static string[] args() => Environment.GetCommandLineArgs();
    }
}
