// A configuration with computed properties, presets, copies by with, and methods that make one.
namespace MixtureConfig;
public record MoeConfig { public int Dim { get; init; } = 1024; public int Heads { get; init; } = 16; public int HeadDim => Dim / Heads; public int Kv { get; init; } = 4; public double Ratio { get; init; } = 2.6667; public int Inner => 256 * (int)Math.Ceiling(Dim * Ratio / 256); }
[FossilAdapt("q", "k", "o", ShardSize = 64)]
[FossilAdapt("up", "down", ShardSize = 256)]
public partial class MoeBlock : Module<Tensor, Tensor>
{
    private readonly Linear q, k, o, up, down;
    public MoeBlock(MoeConfig c, int layer = 0) : base($"block{layer}")
    {
        q = Linear(c.Dim, c.Heads * c.HeadDim, hasBias: false);
        k = Linear(c.Dim, c.Kv * c.HeadDim, hasBias: false);
        o = Linear(c.Heads * c.HeadDim, c.Dim, hasBias: false);
        up = Linear(c.Dim, c.Inner);
        down = Linear(c.Inner, c.Dim);
        RegisterComponents();
    }
    public override Tensor forward(Tensor x) => down.forward(functional.silu(up.forward(o.forward(q.forward(x) + k.forward(x)))));
}
public static class Presets
{
    public static readonly MoeConfig Tiny = new() { Dim = 512, Heads = 8 };
    public static readonly MoeConfig Odd = Tiny with { Dim = 768 + 2 };
    public static MoeConfig Big => new() { Dim = 4096, Heads = 32 };
    public static MoeConfig Sized(int d) => new() { Dim = d, Heads = d / 64 };
}
public static class Use
{
    public static void Run(string[] args)
    {
        _ = new MoeBlock(Presets.Tiny);
        _ = new MoeBlock(Presets.Odd); //! FOSSIL005
        _ = new MoeBlock(Presets.Big, 3);
        _ = new MoeBlock(Presets.Sized(1024));
        _ = new MoeBlock(Presets.Sized(1000)); //! FOSSIL005
        _ = new MoeBlock(new() { Dim = int.Parse(args[0]) });
        _ = new MoeBlock(layer: 2, c: new MoeConfig { Dim = 640, Heads = 10 }); //! FOSSIL005
        var configs = new[] { Presets.Tiny, Presets.Odd };
        foreach (var c in configs) _ = new MoeBlock(c); //! FOSSIL005
        var blocks = configs.Where(c => c.Dim == 512).Select(c => new MoeBlock(c)).ToList();
        if (args is ["big"]) _ = new MoeBlock(Presets.Big with { Dim = 4100 }); //! FOSSIL005
    }
}
