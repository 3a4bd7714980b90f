// Lists of layers whose widths come from arrays, lists and dictionaries.
namespace ListsOfLayers;
[FossilAdapt("layers")]
public partial class Stack : Module<Tensor, Tensor>
{
    private readonly ModuleList<Linear> layers;
    public Stack(params int[] sizes) : base("Stack")
    {
        layers = new ModuleList<Linear>();
        for (var i = 1; i < sizes.Length; ++i) layers.Add(Linear(sizes[i - 1], sizes[i]));
        RegisterComponents();
    }
    public override Tensor forward(Tensor x) { foreach (var l in layers) x = l.forward(x); return x; }
}
[FossilAdapt("heads")]
public partial class Heads : Module<Tensor, Tensor>
{
    private readonly ModuleList<Module<Tensor, Tensor>> heads = new();
    public Heads(int count, int width) : base("Heads")
    {
        while (count-- > 0) heads.Add(Linear(width, 10));
        RegisterComponents();
    }
    public override Tensor forward(Tensor x) => heads[0].forward(x) + heads[1].call(x);
}
[FossilAdapt("experts")]
public partial class Experts : Module<Tensor, Tensor>
{
    private readonly ModuleList<Linear> experts;
    public Experts(int n, int d) : base("Experts")
    {
        experts = ModuleList(Enumerable.Range(0, n).Select(i => Linear(d * (i + 1), d)).ToArray());
        RegisterComponents();
    }
    public override Tensor forward(Tensor x) => experts.Select(e => e.forward(x)).Aggregate((a, b) => a + b);
    public void Swap() => experts[0] = Linear(64, 64); //! FOSSIL024
    public Func<Tensor, Tensor> First => experts[0].forward; //! FOSSIL007
}
public static class Use
{
    public static void Run(int k)
    {
        _ = new Stack(64, 128, 10);
        _ = new Stack(784, 128, 10); //! FOSSIL005
        _ = new Stack(64, 100, 10); //! FOSSIL005
        _ = new Stack(64, k, 10);
        _ = new Heads(2, 256);
        _ = new Heads(2, 250); //! FOSSIL005
        _ = new Heads(k, 250); //! FOSSIL005
        _ = new Experts(3, 64);
        _ = new Experts(2, 96); //! FOSSIL005
        var list = new List<int> { 64, 64 };
        list.Add(66);
        _ = new Stack(list.ToArray());
        list.Insert(0, 66);
        _ = new Stack([.. list]); //! FOSSIL005
        var d = new Dictionary<string, int> { ["a"] = 128, ["b"] = 129 };
        _ = new Heads(2, d["a"]);
        _ = new Heads(2, d["b"]); //! FOSSIL005
    }
}
