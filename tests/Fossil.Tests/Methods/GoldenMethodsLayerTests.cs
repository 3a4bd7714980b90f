using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>Every layer of VeRA and IA3 in the golden data: how it starts, output, gradients, merging, files.</summary>
public class GoldenMethodsLayerTests
{
    private static readonly string[] Shared = ["vera_A", "vera_B"];

    public static TheoryData<string> Vera => GoldenMethodsCases.Layers("VERA");

    public static TheoryData<string> IA3 => GoldenMethodsCases.Layers("IA3");

    public static TheoryData<string> Groups => GoldenMethodsCases.Groups();

    [SkippableTheory]
    [MemberData(nameof(Vera))]
    [MemberData(nameof(IA3))]
    public void Output_gradients_and_what_is_merged_are_those_of_PEFT(string name)
    {
        using var scope = NewDisposeScope();
        var (layer, group) = GoldenMethodsCases.Layer(name);
        using var model = new GoldenMethodsModel(group);
        model.SetTrainedValues();
        var linear = model.Linear(layer);
        var x = model.Tensor(layer, "x").requires_grad_(true);
        using var y = model.Run(layer, x);
        y.backward([model.Tensor(layer, "grad_y")]);
        Assert.Equal(layer.BaseDtype, y.dtype);
        Check("y", y.detach(), 1e-6);
        Check("grad_x", x.grad!, 5e-6);
        foreach (var (_, adapter, kind, parameter) in model.Parameters().Where(entry => entry.Layer == layer)) Check($"{adapter}.grad_{kind}", parameter.grad!, 5e-6, lambda: true);

        using var noGrad = no_grad();
        model.Adapted.Merge(safe: true);
        Check("merged_weight", linear.weight, 1e-6);
        if (layer.HasBias) Check("merged_bias", linear.bias!, 1e-6);
        Assert.InRange(Distance.Relative(model.Run(layer, x), model.Tensor(layer, "truth.y")), 0, layer.BaseDtype == ScalarType.Float32 ? 2e-6 : 2e-2);
        using (model.Adapted.DisableAdapters()) CheckBase(exactly: true);
        model.Adapted.Unmerge();
        CheckBase(exactly: true);

        // Without a copy of the base it is computed back.
        model.Adapted.Merge(keepBase: false);
        model.Adapted.Unmerge();
        CheckBase(exactly: false);

        // The README: float32 against the truth; bfloat16 no further from it than PEFT, and the vectors' gradients as in float32.
        void Check(string what, Tensor actual, double tolerance, bool lambda = false)
        {
            var truth = model.Tensor(layer, $"truth.{what}");
            if (layer.BaseDtype != ScalarType.Float32) tolerance = Math.Max(lambda ? 5e-6 : 1e-6, 1.1 * Distance.Relative(model.Tensor(layer, $"peft.{what}"), truth));
            var distance = Distance.Relative(actual, truth);
            Assert.True(distance <= tolerance, $"{what} is {distance:E2} from the truth; {tolerance:E2} is allowed.");
        }

        void CheckBase(bool exactly)
        {
            var tolerance = exactly ? 0 : layer.BaseDtype == ScalarType.Float32 ? 1e-5 : 8e-3;
            Assert.InRange(Distance.Relative(linear.weight, model.Tensor(layer, "weight")), 0, tolerance);
            if (layer.HasBias) Assert.InRange(Distance.Relative(linear.bias!, model.Tensor(layer, "bias")), 0, tolerance);
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Groups))]
    public void What_is_attached_has_PEFTs_values_to_the_bit(string group)
    {
        using var scope = NewDisposeScope();
        using var model = new GoldenMethodsModel(GoldenMethodsCases.Group(group));
        foreach (var (layer, adapter, kind, parameter) in model.Parameters())
        {
            Assert.Equal(ScalarType.Float32, parameter.dtype);
            var expected = model.Tensor(layer, $"initial.{adapter}.{kind}");
            Assert.Equal(expected.shape, parameter.shape);

            // init_weights and init_ia3_weights are false where values are random.
            var settings = layer.Adapters.Single(entry => entry.Key == adapter).Value;
            if ((bool)(settings["init_weights"] ?? settings["init_ia3_weights"])!) Assert.True(expected.equal(parameter).all().item<bool>(), $"{layer.Linear}.{kind}");
            if (!model.Has(layer, $"{adapter}.{Shared[0]}")) continue;
            foreach (var name in Shared) Assert.True(model.get_buffer(name)!.equal(model.Tensor(layer, $"{adapter}.{name}")).all().item<bool>(), name);
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Groups))]
    public void Files_have_PEFTs_names_and_shapes_and_load_to_the_same_bits(string group)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        var cases = GoldenMethodsCases.Group(group);
        using var model = new GoldenMethodsModel(cases);
        model.SetTrainedValues();
        foreach (var name in model.Adapted.AdapterNames)
        {
            model.Adapted.SavePretrained(folder[name], name);
            using (var file = SafetensorsFile.Open(Path.Combine(folder[name], AdapterFile.FileName)))
            {
                Assert.Equal(cases[0].Saved[name].Keys.Order(), file.Names.Order());
                foreach (var (key, shape) in cases[0].Saved[name]) Assert.Equal(shape, file.GetInfo(key).Shape);
                Assert.All(file.Names, key => Assert.Equal(SafetensorsDtype.F32, file.GetInfo(key).Dtype));
            }

            // Beside the others, and into a model without any.
            model.Adapted.LoadAdapter(folder[name], "again");
            model.Adapted.SetAdapter(name);
            var expected = cases.Select(layer => model.Run(layer, model.Tensor(layer, "x"))).ToArray();
            model.Adapted.SetAdapter("again");
            foreach (var (layer, output) in cases.Zip(expected)) Assert.True(model.Run(layer, model.Tensor(layer, "x")).equal(output).all().item<bool>());
            model.Adapted.DeleteAdapter("again");
            using var fresh = new GoldenMethodsModel(cases);
            fresh.Adapted.Dispose();
            using var alone = fresh.LoadPretrained(folder[name]);
            foreach (var (layer, output) in cases.Zip(expected)) Assert.True(fresh.Run(layer, model.Tensor(layer, "x")).equal(output).all().item<bool>());
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Vera))]
    public void A_VeRA_adapter_is_PEFTs_LoRA(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (layer, group) = GoldenMethodsCases.Layer(name);
        using var model = new GoldenMethodsModel(group);
        model.SetTrainedValues();
        foreach (var adapter in model.Adapted.AdapterNames.ToArray())
        {
            model.Adapted.ConvertToLora("lora", adapter);
            model.Adapted.SetAdapter("lora");
            var factors = model.Adapted.Targets.Single(target => target.Module == model.Linear(layer)).FindLayer("lora")?.Parameters().ToDictionary(entry => entry.Name.Kind, entry => entry.Parameter);
            if (factors is not null && model.Has(layer, "lora_conversion.lora_A.weight"))
            {
                var expected = model.Tensor(layer, "lora_conversion.lora_B.weight").mm(model.Tensor(layer, "lora_conversion.lora_A.weight"));
                Assert.InRange(Distance.Relative(factors["lora_B"].mm(factors["lora_A"]), expected), 0, layer.BaseDtype == ScalarType.Float32 ? 1e-5 : 1e-2);
            }

            var converted = model.Run(layer, model.Tensor(layer, "x"));
            model.Adapted.SetAdapter(adapter);
            Assert.InRange(Distance.Relative(converted, model.Run(layer, model.Tensor(layer, "x"))), 0, layer.BaseDtype == ScalarType.Float32 ? 2e-6 : 8e-3);
            model.Adapted.DeleteAdapter("lora");
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Groups))]
    public void In_a_mixed_batch_each_row_has_its_own_adapter(string group)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var cases = GoldenMethodsCases.Group(group);
        using var model = new GoldenMethodsModel(cases);
        model.SetTrainedValues();
        string?[] names = [.. model.Adapted.AdapterNames, null, model.Adapted.AdapterNames[0]];
        foreach (var layer in cases)
        {
            var x = randn([names.Length, 3, layer.InFeatures]).to(layer.BaseDtype);
            var expected = names.Select((name, row) =>
            {
                using var off = name is null ? model.Adapted.DisableAdapters() : null;
                if (name is not null) model.Adapted.SetAdapter(name);
                return model.Run(layer, x.narrow(0, row, 1));
            }).ToArray();
            using var mixed = model.Adapted.UseAdapters(names);
            Assert.InRange(Distance.Relative(model.Run(layer, x), cat(expected, 0)), 0, layer.BaseDtype == ScalarType.Float32 ? 1e-6 : 8e-3);
        }
    }
}
