[FossilAdapt("layers", ShardSize = 50, Variant = FossilVariant.Bat)]
public partial class Mlp : Module<Tensor, Tensor>
{
    readonly ModuleList<Linear> layers = new();
    public Mlp(int[] sizes, Func<int, int, Linear>? make = null) : base("mlp")
    {
        make ??= (i, o) => Linear(i, o);
        foreach (var(i, o)in sizes.Zip(sizes[1..]))
            layers.Add(make(i, o));
        RegisterComponents();
    }

    public Mlp(int @in, int hidden, int depth, int @out) : this([@in, ..Enumerable.Repeat(hidden, depth), @out])
    {
    }

    public override Tensor forward(Tensor x) => layers.Aggregate(x, (h, l) => l.call(h).relu());
}

static class P
{
    static void Main()
    {
        _ = new Mlp([100, 200, 50]);
        _ = new Mlp(100, 50, 3, 100);
        _ = new Mlp([100, 210, 50]); //! FOSSIL005
        _ = new Mlp(100, 50, 3, 10); //! FOSSIL005
        _ = new Mlp([100, 64], (i, o) => Linear(i, 50));
        _ = new Mlp([784, 100], (i, o) => Linear(i, o)); //! FOSSIL005
    }
}
