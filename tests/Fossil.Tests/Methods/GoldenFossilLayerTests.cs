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
        layer.CheckAgainstPeft();
    }
}
