[FossilAdapt("fc", ShardSize = 64)]
public partial class ResNet : Module<Tensor, Tensor>
{
    const int Expansion = 4;
    int in_planes = 64;
    readonly Linear fc;
    readonly Module<Tensor, Tensor> layers;
    public ResNet(Func<string, int, int, int, Module<Tensor, Tensor>> block, int expansion, IList<int> num_blocks, int numClasses) : base("R")
    {
        var modules = new List<(string, Module<Tensor, Tensor>)>();
        MakeLayer(modules, block, expansion, 64, num_blocks[0], 1);
        MakeLayer(modules, block, expansion, 512, num_blocks[3], 2);
        fc = nn.Linear(512 * expansion, numClasses);
        layers = nn.Sequential(modules);
        RegisterComponents();
    }

    void MakeLayer(List<(string, Module<Tensor, Tensor>)> modules, Func<string, int, int, int, Module<Tensor, Tensor>> block, int expansion, int planes, int n, int stride)
    {
        for (var i = 0; i < n; i++)
        {
            modules.Add(($"b{planes}-{i}", block("x", in_planes, planes, stride)));
            in_planes = planes * expansion;
        }
    }

    public static ResNet R18(int n) => new((name, i, p, s) => new Conv((i, p)), 1, new int[] { 2, 2, 2, 2 }, n);
    public static ResNet R50(int n) => new((name, i, p, s) => new Conv((i, p)), Expansion, [3, 4, 6, 3], n);
    public static ResNet Bad(int n) => new((name, i, p, s) => new Conv((i, p)), expansion: 4, [3, 4, 6, 3], n)
    {
    };
    public override Tensor forward(Tensor x) => fc.call(layers.call(x).flatten(1));
}

public class Conv : Module<Tensor, Tensor>
{
    public Conv((int, int) s) : base("c")
    {
    }

    public override Tensor forward(Tensor x) => x;
}
