using Fossil.TestData;
using Fossil.Tests.Adapters;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>Every layer that PEFT computed under bfloat16 autocast: with <see cref="AdaptedModel.Bf16Products"/> outputs and gradients are no further from the truth than its own, in its dtypes.</summary>
public class GoldenAutocastLayerTests
{
    public static TheoryData<string> Cases => GoldenAutocastCases.Names();

    [SkippableTheory]
    [MemberData(nameof(Cases))]
    public void Bfloat16_products_are_as_near_to_the_truth_as_PEFTs(string name)
    {
        using var scope = NewDisposeScope();
        var golden = GoldenAutocastCases.Layer(name);
        using var inputs = golden.OpenInputs();
        using var results = golden.OpenResults();
        using var model = new OneLinear(golden.InFeatures, golden.OutFeatures, golden.HasBias, golden.BaseDtype);
        using (no_grad())
        {
            model.proj.weight.copy_(inputs.Load("weight"));
            if (golden.HasBias) model.proj.bias!.copy_(inputs.Load("bias"));
        }

        using var adapted = model.AttachAdapters(golden.Adapters[0].Value, golden.Adapters[0].Key);
        foreach (var (adapter, config) in golden.Adapters.Skip(1)) adapted.AddAdapter(adapter, config);
        adapted.SetAdapter([.. golden.Adapters.Select(adapter => adapter.Key)]);
        var parameters = (from layer in adapted.Targets[0].Layers
                          from entry in layer.Parameters()
                          select (layer.AdapterName, entry.Name.Kind, entry.Parameter)).ToArray();
        using (no_grad())
        {
            foreach (var (adapter, kind, parameter) in parameters) parameter.copy_(results.Load($"{adapter}.{kind}"));
        }

        adapted.Bf16Products = true;
        var x = inputs.Load("x").to(golden.InputDtype).requires_grad_(true);
        using var y = model.forward(x);
        y.backward([inputs.Load("grad_y").to(y.dtype)]);
        var far = new List<string>();
        Check("y", y.detach());
        Check("grad_x", x.grad!);
        foreach (var (adapter, kind, parameter) in parameters) Check($"{adapter}.grad_{kind}", parameter.grad!);
        Assert.True(far.Count == 0, string.Join(Environment.NewLine, far));

        void Check(string what, Tensor actual)
        {
            Assert.Equal(golden.Dtype(what), actual.dtype);
            var (distance, allowed) = (Distance.Relative(actual, results.Load($"truth.{what}")), Math.Max(1e-6, 1.1 * golden.DistanceOfPeft(what)));
            if (distance > allowed) far.Add($"{what} is {distance:E2} from the truth; {allowed:E2} is allowed.");
        }
    }
}
