using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>Every layer of the LoRA family in the golden data: output, gradients, merged weight.</summary>
public class GoldenLoraLayerTests
{
    public static TheoryData<string> Cases => GoldenCases.LayerNames(layer => layer.Is("LORA") && !IsPissa(layer));

    public static TheoryData<string> PissaCases => GoldenCases.LayerNames(IsPissa);

    [SkippableTheory]
    [MemberData(nameof(Cases))]
    public void Output_gradients_and_merged_weight_are_those_of_PEFT(string name)
    {
        using var scope = NewDisposeScope();
        using var layer = GoldenLayerModel.Create(GoldenCases.Layer(name));
        layer.CheckAgainstPeft();
    }

    [SkippableTheory]
    [MemberData(nameof(PissaCases))]
    public void PiSSA_takes_what_PEFT_takes_out_of_the_weight(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var layer = GoldenLayerModel.CreateInitial(GoldenCases.Layer(name));
        var adapter = layer.Case.Adapters.Single().Key;
        var scale = (double)layer.Case.Adapters.Single().Value["scaling"]!;
        var product = layer.Parameter(adapter, "lora_B").mm(layer.Parameter(adapter, "lora_A")) * scale;
        Assert.True(Distance.Relative(product, layer.Tensor("product_BA_times_scaling")) < 1e-5);
        Assert.True(Distance.Relative(layer.Model.proj.weight - product, layer.Tensor("residual_weight")) < 1e-5);
        Assert.True(layer.Model.proj.weight.equal(layer.Tensor("weight")).all().item<bool>());
        Assert.True(Distance.Relative(layer.Model.forward(layer.Tensor("x")), layer.Tensor("y")) < 2e-6);
        Assert.True(Distance.Relative(linalg.svd(product, fullMatrices: false).S.narrow(0, 0, 8), layer.Tensor("singular_values").narrow(0, 0, 8)) < 1e-5);
    }

    private static bool IsPissa(GoldenLayer layer) => layer.Adapters.Any(adapter => layer.Config(adapter.Key) is LoraConfig { InitLoraWeights.IsPissa: true });
}
