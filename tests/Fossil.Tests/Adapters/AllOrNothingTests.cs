using Fossil.Serialization;
using Fossil.TestData;
using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>A change of a model's adapters that throws leaves the model as it was.</summary>
public sealed class AllOrNothingTests : IDisposable
{
    private static readonly FossilConfig Plain = new() { ShardSize = 4 };

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    public static TheoryData<string> Failures => ["unknown module", "no decomposition", "no decomposition of the last", "memory"];

    [Theory]
    [MemberData(nameof(Failures))]
    public void Adding_an_adapter(string failure)
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(Plain, "first");
        var before = State(model, adapted);
        var config = Failing(model, failure);
        Assert.ThrowsAny<Exception>(() => adapted.AddAdapter("second", config));
        Assert.Equal(before, State(model, adapted));

        Repair(model);
        adapted.AddAdapter("second", Plain);
        adapted.SetAdapter("second");
        using var loss = model.Loss(TinyModel.Tokens());
        loss.backward();
        Assert.All(adapted.TrainableParameters(), entry => Assert.NotNull(entry.Parameter.grad));
    }

    [Theory]
    [MemberData(nameof(Failures))]
    public void Attaching_the_first_one(string failure)
    {
        using var model = new TinyModel();
        model.embed.weight!.requires_grad = false;
        var before = State(model, null);
        var config = Failing(model, failure);
        Assert.ThrowsAny<Exception>(() => model.AttachAdapters(config));
        Assert.Equal(before, State(model, null));
        Repair(model);
        using var adapted = model.AttachAdapters(Plain);
        Assert.Equal(["default"], adapted.AdapterNames);
    }

    [Theory]
    [InlineData("cut off")]
    [InlineData("integers")]
    [InlineData("a tensor less")]
    [InlineData("unknown module")]
    public void Loading_one(string failure)
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(Plain, "first");
        TinyModel.Randomize(adapted);
        adapted.SavePretrained(folder.Path, "first");
        Spoil(failure);
        var before = State(model, adapted);
        Assert.ThrowsAny<Exception>(() => adapted.LoadAdapter(folder.Path, "second"));
        Assert.Equal(before, State(model, adapted));

        // Into the adapter that is there, as a checkpoint is restored.
        if (failure != "unknown module") Assert.ThrowsAny<Exception>(() => new TrainableAdapter(adapted, "first").Load(folder.Path));
        Assert.Equal(before, State(model, adapted));
        adapted.Dispose();
        before = State(model, null);
        Assert.ThrowsAny<Exception>(() => model.LoadPretrained(folder.Path));
        Assert.Equal(before, State(model, null));
    }

    [Fact]
    public void Converting_and_combining()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(Plain with { Variant = FossilVariant.Bat }, "bat");
        adapted.AddAdapter("first", Plain);
        adapted.AddAdapter("second", Plain with { ShardSize = 2 });
        TinyModel.Randomize(adapted);
        var before = State(model, adapted);
        Assert.Throws<AdapterCombinationException>(() => adapted.ConvertToLora("new", "bat"));
        Assert.Throws<AdapterCombinationException>(() => adapted.ConvertToLora("new", "bat", rank: 9));
        Assert.Throws<AdapterNameException>(() => adapted.ConvertToLora("first", "bat", rank: 2));
        Assert.Throws<AdapterCombinationException>(() => adapted.AddWeightedAdapter(["first", "second"], [1, 1], "new"));
        Assert.Throws<AdapterNameException>(() => adapted.AddWeightedAdapter(["first"], [1], "second"));
        Assert.Equal(before, State(model, adapted));

        // A parameter was removed from outside.
        Parameter(model, "layers.1.v_proj.miss_block.first").Dispose();
        Assert.Throws<AdapterStateException>(() => adapted.AddWeightedAdapter(["first"], [1], "new"));
        Assert.Throws<AdapterStateException>(() => adapted.ConvertToLora("new", "first"));
        Assert.Equal(["bat", "first", "second"], adapted.AdapterNames);
        Assert.DoesNotContain(model.named_parameters(), entry => entry.name.Contains(".new", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Merging(bool keepBase)
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(Plain, "first");
        adapted.AddAdapter("second", Plain);
        TinyModel.Randomize(adapted);
        var weights = adapted.Targets.Select(target => target.Weight.detach().clone()).ToArray();
        Parameter(model, "layers.1.experts.1.miss_block.second").Dispose();
        Assert.Throws<AdapterStateException>(() => adapted.Merge(["first", "second"], keepBase: keepBase));
        Assert.Empty(adapted.MergedAdapters);
        Assert.All(adapted.Targets.Zip(weights), pair => Assert.True(Distance.Relative(pair.First.Weight, pair.Second) <= (keepBase ? 0 : 1e-6)));
        adapted.DeleteAdapter("second");
        Assert.Equal(["first"], adapted.Merge(["first"]));
    }

    [Fact]
    public void Giving_rows_their_adapters()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(Plain, "first");
        adapted.AddAdapter("whole", Plain with { ModulesToSave = ["lm_head"] });
        Assert.Throws<AdapterNameException>(() => adapted.UseAdapters(["first", "none"]));
        Assert.Throws<AdapterCombinationException>(() => adapted.UseAdapters(["first", "whole"]));
        using (adapted.UseAdapters([null, "first"]))
        {
            Assert.Throws<AdapterStateException>(() => adapted.UseAdapters(["first"]));
            Assert.Throws<AdapterStateException>(() => adapted.DeleteAdapter("first"));
        }

        adapted.Merge(["first"]);
    }

    [Fact]
    public void Restoring_the_parameters_of_a_module()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        var trainable = new TrainableModule(model);
        trainable.Save(folder.Path);
        using (var file = SafetensorsFile.Open(folder["model.safetensors"]))
            SafetensorsWriter.Save(folder["changed.safetensors"], [.. file.Names.Select(name => (name, name == "lm_head.weight" ? zeros(1, 1) : ones([.. file.GetInfo(name).Shape])))]);
        File.Move(folder["changed.safetensors"], folder["model.safetensors"], overwrite: true);
        var before = State(model, null);
        Assert.Throws<CheckpointReadException>(() => trainable.Load(folder.Path));
        Assert.Equal(before, State(model, null));
    }

    /// <summary>A LoRA conversion takes the modules that an adapter saves whole along.</summary>
    [Fact]
    public void A_converted_adapter_has_the_saved_modules_of_the_first()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(Plain with { ModulesToSave = ["lm_head"] }, "first");
        TinyModel.Randomize(adapted);
        model.lm_head.weight.mul_(2);
        var expected = model.forward(TinyModel.Tokens());
        adapted.ConvertToLora("converted", "first");
        adapted.SetAdapter("converted");
        Assert.True(expected.allclose(model.forward(TinyModel.Tokens()), rtol: 1e-4, atol: 1e-4));
    }

    private static AdapterConfig Failing(TinyModel model, string failure)
    {
        var pissa = new LoraConfig { Rank = 2, InitLoraWeights = LoraInitialization.Pissa };
        switch (failure)
        {
            case "unknown module": return Plain with { ModulesToSave = ["unknown"] };
            case "memory": return new LoraConfig { Rank = int.MaxValue };
            default:
                // A weight with NaN has no singular values.
                using (no_grad()) model.layers[failure.EndsWith("last", StringComparison.Ordinal) ? 1 : 0].v_proj.weight.fill_(float.NaN);
                return pissa;
        }
    }

    private static void Repair(TinyModel model)
    {
        using var noGrad = no_grad();
        foreach (var layer in model.layers) layer.v_proj.weight.fill_(0.1);
    }

    private void Spoil(string failure)
    {
        using var scope = NewDisposeScope();
        var path = folder[AdapterFile.FileName];
        if (failure == "unknown module")
        {
            (AdapterConfig.Load(folder.Path) with { ModulesToSave = ["unknown"] }).Save(folder.Path);
            return;
        }

        if (failure == "cut off")
        {
            using var stream = new FileStream(path, FileMode.Open);
            stream.SetLength(stream.Length - 4);
            return;
        }

        (string Name, Tensor Tensor)[] tensors;
        using (var file = SafetensorsFile.Open(path)) tensors = [.. file.Names.Select(name => (name, file.Load(name)))];
        tensors = failure == "integers" ? [.. tensors[..^1], (tensors[^1].Name, tensors[^1].Tensor.to(ScalarType.Int64))] : tensors[..^1];
        SafetensorsWriter.Save(path, tensors);
    }

    private static Parameter Parameter(TinyModel model, string name) => model.named_parameters().Single(entry => entry.name == name).parameter;

    /// <summary>The adapters, every parameter and buffer with its values, and what is trained.</summary>
    private static string[] State(TinyModel model, AdaptedModel? adapted)
    {
        using var scope = NewDisposeScope();
        static string Describe(string name, Tensor tensor) => $"{name} {string.Join(",", tensor.detach().nan_to_num().data<float>().ToArray())} {tensor.requires_grad}";
        return
        [
            .. adapted?.AdapterNames ?? [], .. adapted?.ActiveAdapters ?? [],
            .. model.named_parameters().Where(entry => !entry.name.Contains("v_proj.weight", StringComparison.Ordinal)).Select(entry => Describe(entry.name, entry.parameter)),
            .. model.named_buffers().Select(entry => Describe(entry.name, entry.buffer)),
        ];
    }
}
