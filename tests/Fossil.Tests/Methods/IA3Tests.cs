using System.Text.Json.Nodes;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>Which layers are feedforward, and where PEFT goes on without a word (<c>errors.json</c>): here it is refused, or right.</summary>
public sealed class IA3Tests : IDisposable
{
    private static readonly IA3Config Both = new() { TargetModules = ["a", "b"], FeedforwardModules = ["b"] };

    private readonly IDisposable scope = NewDisposeScope();
    private readonly TemporaryFolder folder = new();
    private readonly Tensor x = TwoLinears.Input();

    public static TheoryData<IA3Config, string, string> Choices() => new()
    {
        { Both, "(12, 1)", "(1, 12)" },
        { Both with { FeedforwardModules = [] }, "(12, 1)", "(24, 1)" },
        { Both with { FeedforwardModules = ".*b" }, "(12, 1)", "(1, 12)" },
        { Both with { TargetModules = "a", FeedforwardModules = ["b"] }, "(12, 1)", "" },
        { Both with { TargetModules = "a", FeedforwardModules = [""] }, "(1, 16)", "" },
        { new IA3Config { FeedforwardModules = ["b"] }, "(12, 1)", "(1, 12)" },
    };

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    [Theory]
    [MemberData(nameof(Choices))]
    public void Feedforward_layers_are_those_of_PEFT_and_are_loaded_again(IA3Config config, string shapeOfA, string shapeOfB)
    {
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(config);
        Assert.Equal([shapeOfA, shapeOfB], adapted.Targets.Take(2).Select(target => target.Layers is [var layer] ? $"({string.Join(", ", layer.Parameters().Single().Parameter.shape)})" : string.Empty));
        TwoLinears.Train(adapted);
        adapted.SavePretrained(folder.Path);
        using var other = new TwoLinears();
        using var loaded = other.LoadPretrained(folder.Path);
        Assert.True(other.forward(x).equal(model.forward(x)).all().item<bool>());
    }

    [Fact]
    public void What_PEFT_refuses_in_the_configuration_is_refused()
    {
        Assert.Equal("feedforward_modules", Assert.Throws<ConfigurationException>(() => new IA3Config { TargetModules = ["a"], FeedforwardModules = ["b"] }.Validate()).Field);
        Assert.Equal("bias", Assert.Throws<ConfigurationException>(() => (Both with { Bias = AdapterBias.All }).Validate()).Field);
        Assert.Equal("layers_to_transform", Assert.Throws<ConfigurationException>(() => (Both with { LayersToTransform = [0] }).Validate()).Field);
        using var model = new TwoLinears();
        Assert.Equal("feedforward_modules", Assert.Throws<ConfigurationException>(() => model.AttachAdapters(new IA3Config { TargetModules = ["a"] })).Field);
        Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(new IA3Config { TargetModules = ["e"], FeedforwardModules = [] }));
        Assert.Throws<ConfigurationException>(() => model.AttachAdapters(new IA3Config { TargetModules = ["nothing"], FeedforwardModules = [] }));
    }

    [Fact]
    public void A_second_adapter_goes_by_its_own_feedforward_modules()
    {
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both, "first");
        adapted.AddAdapter("second", Both with { FeedforwardModules = [] });
        TwoLinears.Train(adapted);
        adapted.SetAdapter("first", "second");
        var together = model.forward(x);
        var (first, second) = (adapted.Targets[1].Layers[0].Parameters().Single().Parameter, adapted.Targets[1].Layers[1].Parameters().Single().Parameter);
        Assert.Equal([1, 12], first.shape);
        Assert.Equal([24, 1], second.shape);
        adapted.Merge();
        Assert.InRange(Distance.Relative(model.forward(x), together), 0, 1e-6);
        Assert.Throws<AdapterCombinationException>(() => adapted.AddWeightedAdapter(["first", "second"], [0.5, 0.5], "third"));
    }

    [Fact]
    public void A_file_whose_vectors_are_of_other_layers_is_refused()
    {
        using (var model = new TwoLinears())
        {
            using var adapted = model.AttachAdapters(Both);
            adapted.SavePretrained(folder.Path);
        }

        ((IA3Config)AdapterConfig.Load(folder.Path) with { FeedforwardModules = [] }).Save(folder.Path);
        using var other = new TwoLinears();
        Assert.Throws<AdapterFileException>(() => other.LoadPretrained(folder.Path));
    }

    [Fact]
    public void A_weighted_sum_is_that_of_the_vectors_and_of_one_where_there_is_none()
    {
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both, "first");
        adapted.AddAdapter("second", Both with { TargetModules = ["b"] });
        TwoLinears.Train(adapted);
        adapted.AddWeightedAdapter(["first", "second"], [0.25, 0.75], "third");
        var vectors = adapted.Targets.Take(2).Select(target => target.Layers.ToDictionary(layer => layer.AdapterName, layer => layer.Parameters().Single().Parameter)).ToArray();
        Assert.InRange(Distance.Relative(vectors[0]["third"], vectors[0]["first"] * 0.25 + 0.75), 0, 1e-6);
        Assert.InRange(Distance.Relative(vectors[1]["third"], vectors[1]["first"] * 0.25 + vectors[1]["second"] * 0.75), 0, 1e-6);
    }

    [Fact]
    public void It_is_no_LoRA()
    {
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both);
        Assert.Contains("IA3", Assert.Throws<AdapterCombinationException>(() => adapted.ConvertToLora("lora", rank: 2)).Message);
        Assert.Throws<AdapterCombinationException>(() => adapted.SaveAsLora(folder.Path, rank: 2));
    }

    [Fact]
    public void Nothing_is_merged_into_a_bias_that_another_adapter_trains()
    {
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both, "ia3");
        adapted.AddAdapter("lora", new LoraConfig { Rank = 2, TargetModules = ["a"], Bias = AdapterBias.AdapterOnly });
        TwoLinears.Train(adapted);
        adapted.SetAdapter("ia3", "lora");
        var before = model.forward(x);
        Assert.Contains("'lora'", Assert.Throws<AdapterCombinationException>(() => adapted.Merge()).Message);
        Assert.Empty(adapted.MergedAdapters);
        Assert.True(model.forward(x).equal(before).all().item<bool>());

        // Nor is a bias trained that something is merged into.
        adapted.SetAdapter("ia3");
        adapted.Merge();
        Assert.Throws<AdapterStateException>(() => adapted.AddAdapter("other", new LoraConfig { Rank = 2, TargetModules = ["a"], Bias = AdapterBias.AdapterOnly }));
        Assert.Equal(["ia3", "lora"], adapted.AdapterNames);
    }

    [Fact]
    public void A_saved_all_linear_adapter_is_one_that_PEFT_reads()
    {
        using var model = new TwoLinears();
        using var adapted = model.AttachAdapters(Both with { TargetModules = "all-linear" });
        adapted.SavePretrained(folder.Path);
        var json = JsonNode.Parse(File.ReadAllText(folder[AdapterConfig.FileName]))!;
        Assert.Equal(["b"], json["feedforward_modules"]!.AsArray().Select(name => (string)name!));
        Assert.Equal(["a", "b"], json["target_modules"]!.AsArray().Select(name => (string)name!).Order());
    }
}
