// Indices and ranges as values, tables, stackalloc, goto, static members of type parameters, user-defined operators.
namespace Indices;

[FossilAdapt("up")]
public partial class Layer : Module<Tensor, Tensor>
{
    private readonly Linear up;
    public Layer(int width) : base("Layer") { up = Linear(width, 64); RegisterComponents(); }
    public override Tensor forward(Tensor x) => up.forward(x);
}

public interface ISize
{
    static abstract int Hidden { get; }
    static abstract int Times(int factor);
}

public sealed class Good : ISize
{
    public static int Hidden => 2048;
    public static int Times(int factor) => factor * 64;
}

public sealed class Bad : ISize
{
    public static int Hidden { get; } = 2050;
    public static int Times(int factor) => factor * 41;
}

[FossilAdapt("up")]
public partial class Sized<T> : Module<Tensor, Tensor> where T : ISize
{
    private readonly Linear up;
    public Sized() : base("Sized") { up = Linear(T.Hidden, 64); RegisterComponents(); }
    public override Tensor forward(Tensor x) => up.forward(x);
}

public readonly struct Width(int value)
{
    public int Value { get; } = value;
    public static Width operator *(Width a, int factor) => new(a.Value * factor);
    public static Width operator +(Width a, Width b) => new(a.Value + b.Value);
    public static implicit operator int(Width width) => width.Value;
    public static explicit operator Width(int value) => new(value);
}

public static class Makers
{
    private static readonly int[,] Table = { { 64, 128 }, { 2048, 2050 } };

    private static Sized<T> Make<T>() where T : ISize => new();
    private static Layer Times<T>(int factor) where T : ISize => new(T.Times(factor));
    private static Layer Again<T>() where T : ISize => Times<T>(3);

    public static void Run(int unknown, int[] widths, int[,] given)
    {
        int[] sizes = [64, 128, 2050];
        var last = ^1;
        Index first = 0;
        var tail = 1..;
        Range head = ..^1;
        _ = new Layer(sizes[last]); //! FOSSIL005
        _ = new Layer(sizes[first]);
        _ = new Layer(sizes[tail][^1]); //! FOSSIL005
        _ = new Layer(sizes[tail][0]);
        _ = new Layer(sizes[head][^1]);
        _ = new Layer(sizes[^2]);
        _ = new Layer(widths[last]);

        _ = new Layer(Table[1, 0]);
        _ = new Layer(Table[1, 1]); //! FOSSIL005
        _ = new Layer(Table[unknown, 1]);
        _ = new Layer(given[0, 1]);
        var table = new int[2, 2];
        for (var i = 0; i < table.GetLength(0); i++)
            for (var j = 0; j < table.GetLength(1); j++)
                table[i, j] = 64 * (i + 1) + j;
        _ = new Layer(table[1, 0]);
        _ = new Layer(table[1, 1]); //! FOSSIL005
        table[unknown, 0] = 128;
        _ = new Layer(table[1, 1]);
        _ = new Layer(Table.Length * 64);

        Span<int> span = stackalloc int[] { 64, 2050 };
        ReadOnlySpan<int> other = stackalloc[] { 128, 2050 };
        _ = new Layer(span[0]);
        _ = new Layer(span[1]); //! FOSSIL005
        _ = new Layer(other[^1]); //! FOSSIL005
        span[1] = 64;
        _ = new Layer(span[1]);
    }

    public static Layer Jump(bool flag, int count)
    {
        var width = 64;
        if (flag) goto done;
        width = 128;
    done:
        return new Layer(width);
    }

    public static Layer JumpOutOfLoops(int[] items)
    {
        var width = 2050;
        foreach (var item in items)
        {
            for (var i = 0; i < item; i++)
            {
                if (i == 7) goto found;
            }
        }
    found:
        return new Layer(width); //! FOSSIL005
    }

    public static Layer JumpBack(int count)
    {
        var width = 2050;
    again:
        width += count;
        if (count-- > 0) goto again;
        return new Layer(width);
    }

    public static Layer Cases(string name)
    {
        var width = 0;
        switch ("big")
        {
            case "small":
                width = 64;
                break;
            case "big":
                width = 2;
                goto default;
            default:
                width += 2048;
                break;
        }
        return new Layer(width); //! FOSSIL005
    }

    public static Layer CasesFit(string name)
    {
        var width = 0;
        switch (name)
        {
            case "small":
                width = 64;
                goto case "big";
            case "big":
                width += 64;
                break;
            default:
                throw new ArgumentException(name);
        }
        return new Layer(width);
    }

    public static void Types()
    {
        _ = new Sized<Good>();
        _ = new Sized<Bad>(); //! FOSSIL005
        _ = Make<Good>();
        _ = Make<Bad>(); //! FOSSIL005
        _ = Times<Good>(3);
        _ = Times<Bad>(3); //! FOSSIL005
        _ = Again<Bad>(); //! FOSSIL005
        _ = Again<Good>();
    }

    public static void Operators()
    {
        Width width = (Width)41;
        _ = new Layer(width * 50); //! FOSSIL005
        _ = new Layer(width * 64);
        _ = new Layer(width + new Width(23));
        _ = new Layer(width + width); //! FOSSIL005
    }
}
