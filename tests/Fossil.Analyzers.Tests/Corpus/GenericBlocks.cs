public abstract class BlockBase(string name, int channels, int factor = 2) : Module<Tensor, Tensor>(name)
{
    protected int Channels { get; } = channels;
    protected int Inner => Channels * factor;

    public override Tensor forward(Tensor x) => x;
}

[FossilAdapt("a", "b", ShardSize = 48)]
public partial class Mid : BlockBase
{
    readonly Linear a, b;
    public Mid(int c) : base("mid", c, 3)
    {
        a = Linear(Channels, Inner);
        b = Linear(Inner, Channels);
        RegisterComponents();
    }
}

public class Wrapper<TBlock>(Func<int, TBlock> make)
    where TBlock : BlockBase
{
    public TBlock Make(int width) => make(width);
    public List<TBlock> Many(params ReadOnlySpan<int> ws)
    {
        var l = new List<TBlock>();
        foreach (var w in ws)
            l.Add(make(w));
        return l;
    }
}

static class P
{
    static void Main()
    {
        var w = new Wrapper<Mid>(c => new Mid(c));
        _ = w.Make(48);
        _ = w.Many(48, 96);
        _ = w.Make(50); //! FOSSIL005
        _ = w.Many(48, 100); //! FOSSIL005
        _ = new Mid(16); //! FOSSIL020
        _ = new Wrapper<Mid>(static c => new Mid(c * 2)).Make(49); //! FOSSIL005
    }
}
