using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>Every FOSSIL layer of the golden data: output, gradients, merged weight.</summary>
public class GoldenFossilLayerTests
{
    public static TheoryData<string> Cases => GoldenCases.LayerNames(layer => layer.Is("MISS"));

    [SkippableTheory]
    [MemberData(nameof(Cases))]
    public void Output_gradients_and_merged_weight_are_those_of_PEFT(string name)
    {
        using var scope = NewDisposeScope();
        using var layer = GoldenLayerModel.Create(GoldenCases.Layer(name));
        var x = layer.Tensor("x").requires_grad_(true);
        using var y = layer.Model.forward(x);
        y.backward([layer.Tensor("grad_y")]);

        Assert.Equal(layer.Case.BaseDtype, y.dtype);
        layer.Check("y", y.detach(), 1e-6);
        layer.Check("grad_x", x.grad!, 5e-6);
        foreach (var (adapter, _) in layer.Case.Adapters) layer.Check($"{adapter}.grad_miss_block", layer.Parameter(adapter, "miss_block").grad!, 5e-6);

        layer.Adapted.Merge();
        layer.CheckMergedWeight();
        using var noGrad = no_grad();
        layer.CheckMergedOutput(layer.Model.forward(x));

        layer.Adapted.Unmerge();
        var original = layer.Tensor("weight_after_attach");
        Assert.True(Distance.Relative(layer.Model.proj.weight, original) <= (layer.Case.BaseDtype == ScalarType.Float32 ? 1e-5 : 8e-3));
    }
}
