using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>What several VeRA adapters share, and where PEFT goes on without a word (<c>errors.json</c>): here it is refused, or right.</summary>
public sealed class VeraTests : IDisposable
{
    private static readonly VeraConfig Both = new() { Rank = 4, TargetModules = ["a", "b"] };

    private readonly IDisposable scope = NewDisposeScope();
    private readonly TemporaryFolder folder = new();
    private readonly Tensor x = TwoLinears.Input();

    public static TheoryData<string, VeraConfig> Unshareable() => new()
    {
        { "key", Both with { ProjectionPrngKey = 1 } },
        { "save_projection", Both with { SaveProjection = false } },
        { "rank", Both with { Rank = 8 } },
        { "rank", Both with { Rank = 2 } },
    };

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    [Theory]
    [MemberData(nameof(Unshareable))]
    public void A_second_adapter_that_cannot_share_is_refused_when_it_is_added(string why, VeraConfig second)
    {
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both, "first");
        TwoLinears.Train(adapted);
        var before = model.forward(x);
        Assert.Contains(why, Assert.Throws<AdapterCombinationException>(() => adapted.AddAdapter("second", second)).Message);
        Assert.Equal(["first"], adapted.AdapterNames);
        Assert.True(model.forward(x).equal(before).all().item<bool>());
    }

    [Fact]
    public void A_second_adapter_with_larger_layers_is_refused()
    {
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both with { TargetModules = ["a"] }, "first");
        Assert.Contains("too small", Assert.Throws<AdapterCombinationException>(() => adapted.AddAdapter("second", Both)).Message);
    }

    [Fact]
    public void Without_projections_in_its_file_a_second_adapter_shares_only_what_it_would_have_alone()
    {
        using var model = new TwoLinears();
        var config = Both with { SaveProjection = false };
        using var adapted = model.AttachAdapters(config, "first");
        adapted.AddAdapter("wide", config with { TargetModules = ["a"] });
        Assert.Contains("save_projection", Assert.Throws<AdapterCombinationException>(() => adapted.AddAdapter("narrow", config with { TargetModules = ["b"] })).Message);
    }

    [Theory]
    [InlineData("a", true)]
    [InlineData("b", false)]
    public void An_adapter_that_was_trained_alone_on_one_layer_is_the_same_beside_another_or_refused(string target, bool same)
    {
        using var alone = new TwoLinears();
        using var trained = alone.AttachAdapters(Both with { TargetModules = [target], SaveProjection = false });
        TwoLinears.Train(trained);
        trained.SavePretrained(folder.Path);

        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both with { SaveProjection = false }, "first");
        if (same)
        {
            adapted.LoadAdapter(folder.Path);
            adapted.SetAdapter("default");
            Assert.True(model.forward(x).equal(alone.forward(x)).all().item<bool>());
        }
        else Assert.Throws<AdapterCombinationException>(() => adapted.LoadAdapter(folder.Path));
    }

    [Fact]
    public void Projections_of_another_size_or_with_other_values_do_not_take_the_place_of_the_shared_ones()
    {
        using (var alone = new TwoLinears())
        {
            using var trained = alone.AttachAdapters(Both with { TargetModules = ["b"] });
            trained.SavePretrained(folder["small"]);
        }

        Rewrite(folder["other"], tensors => tensors["base_model.vera_A"] = tensors["base_model.vera_A"] * 2);
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both, "first");
        TwoLinears.Train(adapted);
        var before = model.forward(x);
        Assert.Throws<AdapterFileException>(() => adapted.LoadAdapter(folder["small"], "small"));
        Assert.Throws<AdapterFileException>(() => adapted.LoadAdapter(folder["other"], "other"));
        Assert.True(model.forward(x).equal(before).all().item<bool>());
    }

    [Fact]
    public void The_files_projections_count_whatever_the_key_says()
    {
        var expected = Rewrite(folder.Path, tensors => { }, config => config with { ProjectionPrngKey = 9 });
        using var model = new TwoLinears();
        using var adapted = model.LoadPretrained(folder.Path);
        Assert.True(model.forward(x).equal(expected).all().item<bool>());
    }

    [Fact]
    public void Without_save_projection_the_key_makes_them()
    {
        var expected = Rewrite(folder.Path, tensors => Remove(tensors, "vera_A", "vera_B"), config => config with { SaveProjection = false });
        using var model = new TwoLinears();
        using (model.LoadPretrained(folder.Path)) Assert.True(model.forward(x).equal(expected).all().item<bool>());
        Assert.Empty(model.buffers());
    }

    [Theory]
    [InlineData("vera_A", "vera_B")]
    [InlineData("vera_B", "vera_B")]
    [InlineData("a.vera_lambda_b", "a.vera_lambda_b")]
    public void A_file_that_lacks_a_tensor_is_refused(string first, string second)
    {
        Rewrite(folder.Path, tensors => Remove(tensors, first, second));
        using var model = new TwoLinears();
        Assert.Throws<AdapterFileException>(() => model.LoadPretrained(folder.Path));
        Assert.Empty(model.buffers());
    }

    [Fact]
    public void A_file_of_another_rank_is_refused()
    {
        Rewrite(folder.Path, tensors => { }, config => config with { Rank = 2 });
        using var model = new TwoLinears();
        Assert.Throws<AdapterFileException>(() => model.LoadPretrained(folder.Path));
    }

    [Fact]
    public void The_shared_matrices_go_with_the_last_adapter()
    {
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both, "first");
        adapted.AddAdapter("second", Both with { TargetModules = ["a"] });
        TwoLinears.Train(adapted);
        adapted.SetAdapter("second");
        var expected = model.forward(x);
        adapted.DeleteAdapter("first");
        Assert.True(model.forward(x).equal(expected).all().item<bool>());

        // Of the first adapter's size, which PEFT itself then cannot load.
        adapted.SavePretrained(folder.Path, "second");
        using var other = new TwoLinears();
        using (other.LoadPretrained(folder.Path)) Assert.True(other.forward(x).equal(expected).all().item<bool>());
        adapted.DeleteAdapter("second");
        Assert.Empty(model.buffers());
    }

    [Theory]
    [InlineData(AdapterBias.All)]
    [InlineData(AdapterBias.AdapterOnly)]
    public void Biases_are_trained_and_saved_as_in_PEFT(AdapterBias bias)
    {
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both with { Bias = bias }, "first");
        Assert.Equal(["a.bias", "a.vera_lambda_b.first", "a.vera_lambda_d.first", "b.bias", "b.vera_lambda_b.first", "b.vera_lambda_d.first"], adapted.TrainableParameters().Select(entry => entry.Name).Order());
        adapted.SavePretrained(folder.Path, "first");
        using var file = SafetensorsFile.Open(folder[AdapterFile.FileName]);
        Assert.Equal(
            ["base_model.model.a.base_layer.bias", "base_model.model.a.vera_lambda_b", "base_model.model.a.vera_lambda_d", "base_model.model.b.base_layer.bias", "base_model.model.b.vera_lambda_b", "base_model.model.b.vera_lambda_d", "base_model.vera_A", "base_model.vera_B"],
            file.Names.Order());
    }

    [Theory]
    [InlineData("r", "0")]
    [InlineData("vera_dropout", "1.5")]
    [InlineData("bias", "\"yes\"")]
    [InlineData("exclude_modules", "[\"b\"]")]
    [InlineData("layers_pattern", "\"layers\"")]
    [InlineData("fan_in_fan_out", "true")]
    [InlineData("projection_prng_key", "1.5")]
    [InlineData("d_initial", "\"a\"")]
    public void A_value_that_cannot_be_used_is_named(string field, string value) =>
        Assert.Equal(field, Assert.Throws<ConfigurationException>(() => AdapterConfig.Parse($$"""{"peft_type": "VERA", "target_modules": ["a"], "{{field}}": {{value}}}""")).Field);

    [Fact]
    public void An_embedding_is_refused()
    {
        using var model = new TwoLinears();
        Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(Both with { TargetModules = ["a", "e"] }));
        Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(Both with { TargetModules = ["e"] }));
    }

    [Fact]
    public void Weighted_sums_are_refused()
    {
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both, "first");
        adapted.AddAdapter("second", Both);
        Assert.Throws<AdapterCombinationException>(() => adapted.AddWeightedAdapter(["first", "second"], [0.5, 0.5], "third"));
    }

    [Fact]
    public void With_dropout_the_backward_pass_drops_what_the_forward_pass_did()
    {
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both with { Dropout = 0.5, TargetModules = ["a"] });
        TwoLinears.Train(adapted);
        var input = x.clone().requires_grad_(true);
        manual_seed(1);
        var output = model.forward(input);
        output.sum().backward();

        // Linear in x, as long as the ReLU is open or shut alike.
        var step = input.grad! * 1e-6;
        manual_seed(1);
        using var noGrad = no_grad();
        var expected = step.mul(input.grad!).sum().item<float>();
        Assert.Equal(expected, (model.forward(input + step).to(ScalarType.Float64) - output.to(ScalarType.Float64)).sum().item<double>(), Math.Abs(expected) * 0.2);
    }

    private static void Remove(Dictionary<string, Tensor> tensors, params string[] names)
    {
        foreach (var key in tensors.Keys.Where(key => names.Any(name => key.EndsWith(name, StringComparison.Ordinal))).ToArray()) tensors.Remove(key);
    }

    /// <summary>A trained adapter on both layers, with other tensors and another configuration than were saved.</summary>
    /// <returns>What the model computed.</returns>
    private Tensor Rewrite(string path, Action<Dictionary<string, Tensor>> change, Func<VeraConfig, VeraConfig>? configure = null)
    {
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both);
        TwoLinears.Train(adapted);
        adapted.SavePretrained(path);
        var tensors = new Dictionary<string, Tensor>();
        using (var file = SafetensorsFile.Open(Path.Combine(path, AdapterFile.FileName)))
        {
            foreach (var name in file.Names) tensors.Add(name, file.Load(name));
        }

        change(tensors);
        using (var stream = File.Create(Path.Combine(path, AdapterFile.FileName))) SafetensorsWriter.Write(stream, tensors.Select(entry => (entry.Key, entry.Value)), [new("format", "pt")]);
        if (configure is not null) configure((VeraConfig)AdapterConfig.Load(path)).Save(path);
        return model.forward(x).detach();
    }
}
