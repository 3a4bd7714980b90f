[AdapterWidths("nin", "nout")]
public class Fast : Module<Tensor, Tensor>
{
    public Fast(long nin, long nout, bool bias = true) : base("f")
    {
    }

    public Fast((long nin, long nout) s) : this(s.nin, s.nout)
    {
    }

    public override Tensor forward(Tensor x) => x;
    public static Fast Make(int a, int b) => new(a, b);
}

public class Faster(long i, long o) : Fast(i * 2, o);
[AdapterWidths(nameof(Rows), nameof(Cols))]
public class ByProp : Module<Tensor, Tensor>
{
    public long Rows { get; init; }
    public long Cols { get; init; }

    public ByProp() : base("b")
    {
    }

    public override Tensor forward(Tensor x) => x;
}

[FossilAdapt("a", "b", "c", "d", "e", ShardSize = 64)]
public partial class U : Module<Tensor, Tensor>
{
    readonly Fast a, b, c;
    readonly ByProp d;
    readonly Module<Tensor, Tensor> e;
    public U(int w) : base("U")
    {
        a = new Fast(w, 1);
        b = Fast.Make(w * 2, 1);
        c = new Faster(w, 1);
        d = new ByProp
        {
            Rows = w,
            Cols = 5
        };
        e = new Fast((w, w));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => x;
}

static class P
{
    static void Main()
    {
        _ = new U(64);
        _ = new U(128);
        _ = new U(96); //! FOSSIL005
    }
}
