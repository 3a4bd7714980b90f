using Fossil.TestData;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Weights;

/// <summary>
/// A base weight that is no floating-point tensor: every method trains on it as on the same weight written out, which it never is as a whole (PiSSA's decomposition aside), and what would have to
/// change it is refused.
/// </summary>
public class EncodedWeightTests
{
    private const long In = 64, Out = 48;

    private static readonly Dictionary<string, AdapterConfig> Methods = new()
    {
        ["balance"] = new FossilConfig { ShardSize = 16 },
        ["dropout"] = new FossilConfig { ShardSize = 16, Dropout = 0.25 },
        ["padded"] = new FossilConfig { ShardSize = 24, AllowPadding = true },
        ["mini"] = new FossilConfig { ShardSize = 16, Variant = FossilVariant.Mini, MiniSize = 12 },
        ["bat"] = new FossilConfig { ShardSize = 8, Variant = FossilVariant.Bat },
        ["lora"] = new LoraConfig { Rank = 4 },
        ["rslora"] = new LoraConfig { Rank = 4, UseRslora = true },
        ["dora"] = new LoraConfig { Rank = 4, UseDora = true },
        ["dora with dropout"] = new LoraConfig { Rank = 4, UseDora = true, Dropout = 0.25 },
        ["pissa"] = new LoraConfig { Rank = 4, InitLoraWeights = LoraInitialization.Pissa },
        ["dora with pissa"] = new LoraConfig { Rank = 4, UseDora = true, InitLoraWeights = LoraInitialization.Pissa },
    };

    public static TheoryData<string, bool, ScalarType> Cases()
    {
        var cases = new TheoryData<string, bool, ScalarType>();
        foreach (var method in Methods.Keys)
        {
            cases.Add(method, true, ScalarType.Float32);
            cases.Add(method, false, ScalarType.Float64);
            cases.Add(method, true, ScalarType.BFloat16);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Every_method_trains_as_on_the_weight_written_out(string method, bool bias, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var (encoded, written) = Twins(bias, dtype);
        var bits = encoded.state_dict().Where(entry => entry.Key.StartsWith("proj", StringComparison.Ordinal)).Select(entry => entry.Value.clone()).ToArray();
        var results = new[] { encoded, written }.Select(model => Train(model, dtype, ("default", Methods[method]))).ToArray();

        AssertSame(results[0], results[1], dtype);
        Assert.NotEqual(results[0].Start, results[0].Values["loss"].item<double>());
        Assert.True(encoded.state_dict().Where(entry => entry.Key is "proj.values" or "proj.scales" or "proj.bias").Select(entry => entry.Value).Zip(bits).All(pair => pair.First.equal(pair.Second).all().item<bool>()));
    }

    [Fact]
    public void Bat_adapters_of_several_shard_sizes_and_others_act_together()
    {
        using var scope = NewDisposeScope();
        var (encoded, written) = Twins(bias: true, ScalarType.Float64);
        (string, AdapterConfig)[] adapters =
        [
            ("a", Methods["bat"]), ("b", new FossilConfig { ShardSize = 16, Variant = FossilVariant.Bat }), ("c", Methods["balance"]), ("d", Methods["lora"]),
        ];
        AssertSame(Train(encoded, ScalarType.Float64, adapters), Train(written, ScalarType.Float64, adapters), ScalarType.Float64);
    }

    [Fact]
    public void Each_row_of_a_batch_may_use_its_own_adapter()
    {
        using var scope = NewDisposeScope();
        var (encoded, written) = Twins(bias: true, ScalarType.Float64);
        var outputs = new[] { encoded, written }.Select(model =>
        {
            using var adapted = Attach(model, ("a", Methods["balance"]), ("b", Methods["dora"]), ("c", Methods["bat"]));
            using var rows = adapted.UseAdapters(["a", "b", null, "c", "a"]);
            return model.forward(Data([5, 3, In], ScalarType.Float64)).detach();
        }).ToArray();
        Assert.True(outputs[0].allclose(outputs[1], rtol: 1e-10, atol: 1e-10));
    }

    [Theory]
    [InlineData("balance")]
    [InlineData("bat")]
    [InlineData("dora")]
    [InlineData("pissa")]
    public void Merging_is_refused_and_changes_nothing(string method)
    {
        using var scope = NewDisposeScope();
        var (model, _) = Twins(bias: true, ScalarType.Float32);
        using var adapted = Attach(model, ("default", Methods[method]));
        var input = Data([3, In], ScalarType.Float32);
        var before = model.forward(input).detach();

        foreach (var merge in (Action[])[() => adapted.Merge(), () => adapted.Merge(safe: true), () => adapted.MergeActive(), () => adapted.MergeAndUnload()])
        {
            var refusal = Assert.Throws<WeightNotChangeableException>(merge);
            Assert.Contains("'proj'", refusal.Message, StringComparison.Ordinal);
            Assert.Contains(nameof(Int8Weight), refusal.Message, StringComparison.Ordinal);
        }

        Assert.True(model.forward(input).detach().equal(before).all().item<bool>());
    }

    [Theory]
    [InlineData("bat")]
    [InlineData("lora")]
    [InlineData("pissa")]
    public void An_adapter_is_saved_and_loaded_onto_either_form(string method)
    {
        using var scope = NewDisposeScope();
        var folder = Path.Combine(Path.GetTempPath(), $"fossil-encoded-{Guid.NewGuid():N}");
        try
        {
            var (encoded, written) = Twins(bias: true, ScalarType.Float32);
            var input = Data([3, In], ScalarType.Float32);
            Tensor before;
            using (var adapted = Attach(encoded, ("default", Methods[method])))
            {
                before = encoded.forward(input).detach();
                adapted.SavePretrained(folder);
            }

            foreach (var model in new[] { encoded, written })
            {
                using var loaded = model.LoadPretrained(folder);
                Assert.True(model.forward(input).detach().allclose(before, rtol: 1e-4, atol: 1e-4));
            }
        }
        finally
        {
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_change_between_forward_and_backward_is_noticed()
    {
        using var scope = NewDisposeScope();
        var (model, _) = Twins(bias: false, ScalarType.Float32);
        using var adapted = Attach(model, ("default", Methods["lora"]));
        var loss = model.forward(Data([3, In], ScalarType.Float32).requires_grad_(true)).sum();
        using (no_grad()) ((Int8Linear)model.proj).get_buffer("scales")!.mul_(2);
        loss.backward();
        Assert.Throws<AdapterBackwardException>(() => model.forward(Data([3, In], ScalarType.Float32)));
    }

    [Theory]
    [InlineData(true, ScalarType.Float64)]
    [InlineData(false, ScalarType.Float32)]
    [InlineData(true, ScalarType.BFloat16)]
    public void The_layer_itself_has_the_gradients_of_a_linear_layer(bool bias, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var (encoded, written) = Twins(bias, dtype);
        var results = new[] { encoded, written }.Select(model =>
        {
            var input = Data([2, 5, In], dtype).requires_grad_(true);
            var output = model.proj.forward(input);
            output.pow(2).sum().backward();
            return (Tensor[])[output.detach(), input.grad!, .. bias ? [model.get_parameter("proj.bias")!.grad!] : Array.Empty<Tensor>()];
        }).ToArray();
        foreach (var (one, other) in results[0].Zip(results[1])) AssertClose(one, other, dtype, "layer");
    }

    [Fact]
    public void The_weight_as_a_tensor_is_told_where_it_is_none()
    {
        using var scope = NewDisposeScope();
        var (model, written) = Twins(bias: false, ScalarType.Float32);
        using var adapted = Attach(model, ("default", Methods["balance"]));
        var target = Assert.Single(adapted.Targets);
        Assert.Equal((In, Out), (target.InFeatures, target.OutFeatures));
        Assert.Contains(nameof(Int8Weight), Assert.Throws<NotAdaptableException>(() => target.Weight).Message, StringComparison.Ordinal);
        Assert.True(((Int8Linear)model.proj).Weight.ToTensor(ScalarType.Float32).equal(((Linear)written.proj).weight!).all().item<bool>());
    }

    /// <summary>The same layer twice: with the encoded weight, and with what it stands for.</summary>
    private static (OneLayer Encoded, OneLayer Written) Twins(bool bias, ScalarType dtype)
    {
        random.manual_seed(1);
        var encoded = new Int8Linear(randn(Out, In).to(dtype), bias ? randn(Out).to(dtype) : null);
        var linear = nn.Linear(In, Out, bias, dtype: dtype);
        using var noGrad = no_grad();
        linear.weight!.copy_(encoded.Weight.ToTensor(dtype));
        if (bias) linear.bias!.copy_(encoded.get_parameter("bias")!);
        return (new OneLayer(encoded), new OneLayer(linear));
    }

    private static AdaptedModel Attach(OneLayer model, params (string Name, AdapterConfig Config)[] adapters)
    {
        random.manual_seed(2);
        var adapted = model.AttachAdapters(adapters[0].Config with { TargetModules = ["proj"] }, adapters[0].Name);
        foreach (var (name, config) in adapters.Skip(1)) adapted.AddAdapter(name, config with { TargetModules = ["proj"] });
        adapted.SetAdapter([.. adapters.Select(adapter => adapter.Name)]);
        using var noGrad = no_grad();
        foreach (var (_, parameter) in model.named_parameters().Where(entry => entry.parameter.requires_grad)) parameter.add_(randn(parameter.shape).to(parameter.dtype).mul(0.05));
        return adapted;
    }

    private static (double Start, Dictionary<string, Tensor> Values) Train(OneLayer model, ScalarType dtype, params (string Name, AdapterConfig Config)[] adapters)
    {
        using var adapted = Attach(model, adapters);
        var (input, labels) = (Data([2, 6, In], dtype).requires_grad_(true), Data([2, 6, Out], dtype));
        var parameters = model.named_parameters().Where(entry => entry.parameter.requires_grad).ToArray();
        var (start, loss) = (0.0, zeros(1));
        for (var step = 0; step < 3; step++)
        {
            foreach (var (_, parameter) in parameters) parameter.grad = null;
            input.grad = null;
            loss = (model.forward(input) - labels).to(ScalarType.Float64).pow(2).mean();
            if (step == 0) start = loss.item<double>();
            loss.backward();
            using var noGrad = no_grad();
            foreach (var (_, parameter) in parameters) parameter.sub_(parameter.grad!.mul(0.1));
        }

        var values = parameters.ToDictionary(entry => entry.name, entry => entry.parameter.detach().clone());
        values.Add("loss", loss.detach());
        values.Add("dx", input.grad!);
        using (no_grad()) values.Add("one row", model.forward(Data([1, 1, In], dtype)));
        return (start, values);
    }

    private static void AssertSame((double Start, Dictionary<string, Tensor> Values) one, (double Start, Dictionary<string, Tensor> Values) other, ScalarType dtype)
    {
        Assert.Equal(one.Values.Keys.Order(), other.Values.Keys.Order());
        foreach (var (name, value) in one.Values) AssertClose(value, other.Values[name], dtype, name);
    }

    private static void AssertClose(Tensor one, Tensor other, ScalarType dtype, string name)
    {
        Assert.Equal(one.dtype, other.dtype);
        var scale = Math.Max(1e-3, other.abs().max().to(ScalarType.Float64).item<double>());
        var error = (one.to(ScalarType.Float64) - other.to(ScalarType.Float64)).abs().max().item<double>() / scale;
        Assert.True(error <= dtype switch { ScalarType.BFloat16 => 2e-2, ScalarType.Float32 => 1e-5, _ => 1e-11 }, $"{name} differs by {error:g3} of its largest value.");
    }

    private static Tensor Data(long[] shape, ScalarType dtype)
    {
        random.manual_seed(3);
        return randn(shape).to(dtype);
    }
}
