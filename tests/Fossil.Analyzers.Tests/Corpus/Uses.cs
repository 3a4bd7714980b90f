namespace Right
{
    [FossilAdapt("up", "down", "experts")]
    public partial class L : Module<Tensor, Tensor>
    {
        internal readonly Linear up = Linear(64, 64), down = Linear(64, 64);
        readonly ModuleList<Linear> experts = new();
        readonly Dropout drop = Dropout(0.1);
        Func<Tensor, Tensor>? cached;
        public L() : base("L")
        {
            RegisterComponents();
            foreach (var m in new Module<Tensor, Tensor>[]
            {
                up,
                down
            }

            )
            {
                init.xavier_uniform_(((Linear)m).weight!);
            }

            init.zeros_(up.bias!);
        }

        public Linear Up => up;

        public IEnumerable<Linear> All()
        {
            yield return up;
            yield return down;
        }

        public override Tensor forward(Tensor x)
        {
            using var _ = NewDisposeScope();
            Func<Tensor, Tensor> f = t => up.forward(t);
            cached ??= x2 => down.call(x2);
            foreach (var(e, i)in experts.Select((e, i) => (e, i)))
                x = x + e.call(x) * i;
            for (int i = 0; i < experts.Count; i++)
                x = experts[i].forward(x);
            Module<Tensor, Tensor> m = x.ndim > 2 ? up : down;
            x = m.forward(x);
            Tensor Local(Linear l) => l.call(x);
            x = Local(up) + Local(down);
            var seq = Sequential(drop, ReLU());
            x = seq.call(x);
            (var a, var b) = (up.call(x), down.call(x));
            Console.WriteLine(up);
            Console.WriteLine($"{up} {nameof(down)} {up.weight!.shape[0]}");
            if (up is { bias: not null } linear)
                x = linear.call(x);
            if (ReferenceEquals(up, down) || up == down)
                return x;
            var list = new List<Linear>
            {
                up,
                down
            };
            foreach (var l in list)
                x = l.forward(x);
            var dict = new Dictionary<string, Linear>
            {
                ["a"] = up
            };
            x = dict["a"].call(x);
            var par = Task.Run(() => up.forward(x));
            x = functional.linear(x, up.weight!, up.bias); //! FOSSIL041
            return (x + par.Result).MoveToOuterDisposeScope();
        }
    }

    static class P
    {
        static Tensor Use(L l, Tensor x) => l.up.forward(l.Up.call(l.call(x)));
        static void Save(L l)
        {
            l.save("x");
            var sd = l.state_dict();
            l.up.train();
            l.up.to(CPU);
            l.up.parameters();
            foreach (var(n, m)in l.named_modules())
                if (m is Linear li)
                    li.weight!.requires_grad = false;
        }

        static Tensor Many(L[] ls, Tensor x) => ls.Aggregate(x, (h, l) => l.call(h));
        static Task<Tensor> Async(L l, Tensor x) => Task.Run(() => l.up.call(x));
    }
}

namespace Wrong
{
    [FossilAdapt("up", "down", "experts")]
    public partial class L : Module<Tensor, Tensor>
    {
        internal readonly Linear up = Linear(64, 64), down = Linear(64, 64);
        readonly ModuleList<Linear> experts = new();
        readonly Sequential mlp;
        Func<Tensor, Tensor> f;
        public L() : base("L")
        {
            mlp = Sequential(up, ReLU(), down);
            f = up.forward; //! FOSSIL007
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var g = new Func<Tensor, Tensor>(up.call);
            x = new[]
            {
                x
            }.Select(down.forward).First(); //! FOSSIL007
            var s = new List<(string, Module<Tensor, Tensor>)>
            {
                ("a", up)
            };
            System.Linq.Expressions.Expression<Func<Tensor, Tensor>> e = t => up.forward(t); //! FOSSIL007
            var fi = GetType().GetField("up", System.Reflection.BindingFlags.NonPublic); //! FOSSIL007
            dynamic d = up; //! FOSSIL007
            Apply(experts[0].forward, x); //! FOSSIL007
            return mlp.call(x);
        }

        static Tensor Apply(Func<Tensor, Tensor> f, Tensor x) => f(x);
    }
}
