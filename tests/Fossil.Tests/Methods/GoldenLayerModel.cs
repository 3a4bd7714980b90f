using Fossil.Serialization;
using Fossil.TestData;
using Fossil.Tests.Adapters;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>A layer case of the golden data as a model with its adapters and trained values.</summary>
internal sealed class GoldenLayerModel : IDisposable
{
    private readonly SafetensorsFile file;

    private GoldenLayerModel(GoldenLayer golden)
    {
        Case = golden;
        file = golden.Open();
        Model = new OneLinear(golden.InFeatures, golden.OutFeatures, golden.HasBias, golden.BaseDtype);
        using var noGrad = no_grad();
        Model.proj.weight.copy_(Tensor("weight"));
        if (golden.HasBias) Model.proj.bias!.copy_(Tensor("bias"));
        foreach (var (adapter, _) in golden.Adapters)
        {
            var config = golden.Config(adapter) with { TargetModules = ["proj"] };
            if (Adapted is null) Adapted = Model.AttachAdapters(config, adapter);
            else Adapted.AddAdapter(adapter, config);
        }

        Adapted!.SetAdapter([.. golden.Adapters.Select(adapter => adapter.Key)]);
    }

    public GoldenLayer Case { get; }

    public OneLinear Model { get; }

    public AdaptedModel Adapted { get; } = null!;

    /// <summary>The case with the values that its parameters start with.</summary>
    public static GoldenLayerModel CreateInitial(GoldenLayer golden) => new(golden);

    /// <summary>The case with the trained values of its parameters, which the file names ADAPTER.KIND.</summary>
    public static GoldenLayerModel Create(GoldenLayer golden)
    {
        var layer = new GoldenLayerModel(golden);
        using var noGrad = no_grad();
        foreach (var target in layer.Adapted.Targets)
        {
            foreach (var adapter in target.Layers)
            {
                foreach (var (name, parameter) in adapter.Parameters()) parameter.copy_(layer.Tensor($"{adapter.AdapterName}.{name.Kind}"));
            }
        }
        return layer;
    }

    /// <summary>A tensor of the case's file; the caller's dispose scope owns it.</summary>
    public Tensor Tensor(string name) => file.Load(name);

    public bool Has(string name) => file.Names.Contains(name);

    public Parameter Parameter(string adapter, string kind) =>
        Adapted.Targets[0].FindLayer(adapter)!.Parameters().Single(entry => entry.Name.Kind == kind).Parameter;

    /// <summary>The README's tolerance: absolute in float32; in bfloat16, 1.1 times PEFT's own distance to the truth.</summary>
    public void Check(string name, Tensor actual, double tolerance)
    {
        var truth = Tensor($"truth.{name}");
        if (Case.BaseDtype != ScalarType.Float32) tolerance = Math.Max(1e-6, 1.1 * Distance.Relative(Tensor($"peft.{name}"), truth));
        var distance = Distance.Relative(actual, truth);
        Assert.True(distance <= tolerance, $"{name} is {distance:E2} from the truth; {tolerance:E2} is allowed.");
    }

    /// <summary>Output, gradients, merged weight, merged output and the weight after unmerging, each against the golden data.</summary>
    public void CheckAgainstPeft()
    {
        var x = Tensor("x").requires_grad_(true);
        using var y = Model.forward(x);
        y.backward([Tensor("grad_y")]);

        Assert.Equal(Case.BaseDtype, y.dtype);
        Check("y", y.detach(), 1e-6);
        Check("grad_x", x.grad!, 5e-6);
        foreach (var layer in Adapted.Targets[0].Layers)
        {
            foreach (var (name, parameter) in layer.Parameters()) Check($"{layer.AdapterName}.grad_{name.Kind}", parameter.grad!, 5e-6);
        }

        Adapted.Merge();
        CheckMergedWeight();
        using var noGrad = no_grad();
        CheckMergedOutput(Model.forward(x));

        Adapted.Unmerge();
        var original = Tensor("weight");
        Assert.True(Distance.Relative(Model.proj.weight, original) <= (Case.BaseDtype == ScalarType.Float32 ? 1e-5 : 8e-3));
    }

    /// <summary>In bfloat16 the merged weight can be no closer than the truth rounded to bfloat16.</summary>
    public void CheckMergedWeight()
    {
        var truth = Tensor("truth.merged_weight");
        var tolerance = Case.BaseDtype == ScalarType.Float32 ? 1e-6 : 1.1 * Distance.Relative(truth.to(Case.BaseDtype), truth);
        var distance = Distance.Relative(Model.proj.weight, truth);
        Assert.True(distance <= tolerance, $"The merged weight is {distance:E2} from the truth; {tolerance:E2} is allowed.");
    }

    /// <summary>The merged layer is the same function, within what rounding the weight allows.</summary>
    public void CheckMergedOutput(Tensor output)
    {
        var tolerance = Case.BaseDtype == ScalarType.Float32 ? 2e-6 : 2e-2;
        var distance = Distance.Relative(output, Tensor("truth.y"));
        Assert.True(distance <= tolerance, $"The merged output is {distance:E2} from the truth; {tolerance:E2} is allowed.");
    }

    public void Dispose()
    {
        Adapted.Dispose();
        Model.Dispose();
        file.Dispose();
    }
}
