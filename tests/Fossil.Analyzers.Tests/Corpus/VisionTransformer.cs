public enum ViTKind
{
    Tiny,
    Small,
    Base,
    Weird
}

public readonly record struct ViTSpec(int Dim, int Depth, int Heads, float MlpRatio = 4f)
{
    static readonly IReadOnlyDictionary<ViTKind, ViTSpec> Table = new Dictionary<ViTKind, ViTSpec>
    {
        [ViTKind.Tiny] = new(192, 12, 3),
        [ViTKind.Small] = new(384, 12, 6),
        [ViTKind.Base] = new(768, 12, 12),
        [ViTKind.Weird] = new(200, 4, 4, 3.5f)
    };
    public static ViTSpec Of(ViTKind kind) => Table[kind];
    public int Hidden => (int)(Dim * MlpRatio);
}

[FossilAdapt("qkv", "proj", ShardSize = 64), FossilAdapt("fc1", "fc2", ShardSize = 32)]
public partial class Block : Module<Tensor, Tensor>
{
    private Linear qkv;
    private Linear proj;
    private Linear fc1, fc2;
    public Block(int dim, int hidden) : base("Block")
    {
        qkv = nn.Linear(dim, 3 * dim);
        proj = nn.Linear(dim, dim);
        fc1 = nn.Linear(dim, hidden);
        fc2 = nn.Linear(hidden, dim);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => fc2.call(fc1.call(proj.call(qkv.call(x))));
}

public class ViT : Module<Tensor, Tensor>
{
    private readonly Sequential blocks;
    public ViT(ViTSpec spec) : base("ViT")
    {
        var layers = new List<(string, Module<Tensor, Tensor>)>();
        for (int i = 0; i < spec.Depth; i++)
            layers.Add(($"b{i}", new Block(spec.Dim, spec.Hidden)));
        blocks = Sequential(layers);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => blocks.forward(x);
    public static ViT Create(ViTKind kind) => new(ViTSpec.Of(kind));
}

static class P
{
    static void Main()
    {
        _ = ViT.Create(ViTKind.Tiny);
        _ = ViT.Create(ViTKind.Base);
        _ = new ViT(ViTSpec.Of(ViTKind.Small));
        _ = ViT.Create(ViTKind.Weird); //! FOSSIL005
        _ = new ViT(new(100, 2, 2)); //! FOSSIL005
        foreach (var k in new[]
        {
            ViTKind.Tiny,
            ViTKind.Small
        }

        )
            _ = ViT.Create(k);
    }
}
