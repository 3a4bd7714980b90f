using Fossil.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Families;

/// <summary>Dropout of a batch is that of its parts, in every layer of every family: so a number of ranks divides a step without changing it. An expert sees some tokens only, others on each rank.</summary>
public sealed class DropoutRowsTests
{
    private const int Rows = 4, Tokens = 7;

    public static TheoryData<string> Families => FamilyModels.OfEachClass;

    [Theory]
    [MemberData(nameof(Families))]
    public void Parts_of_a_batch_have_the_gradients_of_the_whole(string family)
    {
        using var scope = NewDisposeScope();
        using var model = FamilyModels.Create(family);
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 8, Dropout = 0.4, TargetModules = ["q_proj", "o_proj", "qkv_proj", "gate_proj", "down_proj", "gate_up_proj"], AllowPadding = true });
        model.train();
        model.to(float64);
        foreach (var (_, parameter) in adapted.TrainableParameters())
        {
            using var withoutGradient = no_grad();
            parameter.normal_(0, 0.1);
        }

        var ids = randint(3, 60, [Rows, Tokens], dtype: int64);
        var whole = Gradients(adapted, model, ids, parts: 1);
        var parted = Gradients(adapted, model, ids, parts: 2);
        var without = Gradients(adapted, model, ids, parts: 1, step: 1);
        for (var i = 0; i < whole.Count; i++) Assert.True(Distance(whole[i].Value, parted[i].Value) < 1e-10, $"{whole[i].Name} is {Distance(whole[i].Value, parted[i].Value):E2} off.");
        Assert.Contains(whole.Zip(without), pair => Distance(pair.First.Value, pair.Second.Value) > 1e-3);
    }

    private static List<(string Name, Tensor Value)> Gradients(AdaptedModel adapted, CausalLM model, Tensor ids, int parts, int step = 0)
    {
        foreach (var (_, parameter) in adapted.TrainableParameters()) parameter.grad = null;
        for (var part = 0; part < parts; part++)
        {
            var count = Rows / parts;
            using var rows = DropoutRows.Use(1, step, 0, part * count, count);
            var own = ids.narrow(0, part * count, count);
            (model.forward(own).pow(2).mean() / parts).backward();
        }

        return [.. adapted.TrainableParameters().Select(named => (named.Name, named.Parameter.grad?.clone() ?? zeros_like(named.Parameter)))];
    }

    private static double Distance(Tensor one, Tensor other) => (one - other).abs().max().item<double>();
}
