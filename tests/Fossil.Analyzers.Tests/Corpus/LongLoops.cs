// Loops of unknown length over growing collections: the analysis ends, and reports nothing that is not certain.
[FossilAdapt("heads", ShardSize = 64)]
public partial class Pyramid : Module<Tensor, Tensor>
{
    private readonly ModuleList<Linear> heads = new();

    public Pyramid(IReadOnlyList<int> sizes, int depth)
        : base("Pyramid")
    {
        var anchors = new double[sizes.Count * depth, 4];
        var table = new List<List<double>>();
        for (var i = 0; i < sizes.Count; i++)
        {
            var row = new List<double>();
            for (var j = 0; j < depth; j++)
            {
                for (var k = 0; k < sizes[i]; k++)
                {
                    anchors[i * depth + j, k % 4] = i * j + k * 0.5;
                    row.Add(anchors[i, j] + row.Count);
                    if (k % 2 == 0)
                    {
                        row[k] = row[k] * 2;
                    }
                }
            }

            table.Add(row);
            heads.Add(Linear(sizes[i], table.Count));
        }

        foreach (var (name, layer) in named_modules())
        {
            if (layer.GetType() == typeof(Linear))
            {
                var linear = layer as Linear;
                linear!.weight!.requires_grad = false;
            }
            else if (layer is LayerNorm norm)
            {
                norm.weight!.requires_grad = false;
            }
        }

        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => x;
}
