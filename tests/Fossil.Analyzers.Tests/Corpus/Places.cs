// Where a width that several arguments form is reported: once, at what makes it.
namespace Places;

[FossilAdapt("up")]
public partial class Heads : Module<Tensor, Tensor>
{
    private readonly Linear up;
    public Heads(int heads, int size) : base("Heads") { up = Linear(heads * size, 64); RegisterComponents(); }
    public override Tensor forward(Tensor x) => up.forward(x);
}

public record Settings(int Heads, int Size);

[FossilAdapt("up")]
public partial class Configured : Module<Tensor, Tensor>
{
    private readonly Linear up;
    public Configured(Settings s) : base("Configured") { up = Linear(s.Heads * s.Size, 64); RegisterComponents(); }
    public override Tensor forward(Tensor x) => up.forward(x);
}

public static class Makers
{
    public static void Run(bool flag, int count)
    {
        _ = new Heads(4, 41); //! FOSSIL005
        _ = new Heads( //! FOSSIL005
            heads: 5,
            size: 41);
        _ = new Heads(
            4 * 2,
            size: count > 0 ? 16 : 32);
        _ = new Heads(8, 16);
        _ = new Configured(new Settings(4, 41)); //! FOSSIL005
        var s = new Settings(5, 41);
        _ = new Configured(s); //! FOSSIL005
        // One of the two is right: which is taken is not known.
        _ = new Heads(4, flag ? 41 : 16);
        _ = new Heads(4, flag ? 41 : 43); //! FOSSIL005
        _ = new Heads(4, count);
    }
}
