using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>Adapters on the disk.</summary>
public class AdapterFolderTests
{
    [Fact]
    public void A_saved_adapter_loads_back_and_saves_as_the_same_bytes()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        var tokens = TinyModel.Tokens();
        Tensor expected;
        using (var model = new TinyModel())
        using (var adapted = model.AttachAdapters())
        {
            TinyModel.Randomize(adapted);
            expected = model.forward(tokens).detach();
            adapted.SavePretrained(folder["first"]);
        }

        using var other = new TinyModel();
        using var loaded = other.LoadPretrained(folder["first"]);
        Assert.True(expected.equal(other.forward(tokens)).all().item<bool>());
        Assert.Empty(loaded.TrainableParameters());
        loaded.Unfreeze();
        Assert.Equal(8, loaded.TrainableParameters().Count);

        loaded.SavePretrained(folder["second"]);
        foreach (var name in new[] { AdapterFile.FileName, AdapterConfig.FileName })
            Assert.Equal(File.ReadAllBytes(Path.Combine(folder["first"], name)), File.ReadAllBytes(Path.Combine(folder["second"], name)));
    }

    [Fact]
    public void Keys_and_configuration_are_PEFTs()
    {
        using var folder = new TemporaryFolder();
        using var model = new TinyModel();
        using (var adapted = model.AttachAdapters()) adapted.SavePretrained(folder.Path);

        using var file = SafetensorsFile.Open(folder[AdapterFile.FileName]);
        Assert.Contains("base_model.model.layers.1.experts.0.miss_block", file.Names);
        var config = (FossilConfig)AdapterConfig.Load(folder.Path);
        Assert.Equal(4, config.ShardSize);
        Assert.True(config.InferenceMode);
        Assert.NotNull(config.TargetModules);
        Assert.Contains("\"init_weights\": true", File.ReadAllText(folder[AdapterConfig.FileName]));
    }

    [Fact]
    public void Further_adapters_are_loaded_inactive_and_can_be_trained_on()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted);
        adapted.SavePretrained(folder.Path);
        var before = model.forward(TinyModel.Tokens()).detach();
        adapted.LoadAdapter(folder.Path, "copy", isTrainable: true);
        Assert.Equal(["default"], adapted.ActiveAdapters);
        adapted.SetAdapter("copy");
        Assert.True(before.equal(model.forward(TinyModel.Tokens())).all().item<bool>());
        Assert.All(adapted.TrainableParameters(), entry => Assert.EndsWith(".copy", entry.Name));
        Assert.Equal(8, adapted.TrainableParameters().Count);
    }

    [Fact]
    public void Tensors_that_do_not_fit_are_refused_and_nothing_is_left_attached()
    {
        using var folder = new TemporaryFolder();
        using var model = new TinyModel();
        using (var adapted = model.AttachAdapters()) adapted.SavePretrained(folder.Path);
        var config = AdapterConfig.Load(folder.Path);
        (config with { TargetModules = ["q_proj"] }).Save(folder.Path);
        Assert.Contains("belong to no target", Assert.Throws<AdapterFileException>(() => model.LoadPretrained(folder.Path)).Message);
        ((FossilConfig)config with { ShardSize = 8 }).Save(folder.Path);
        Assert.Contains("has shape (4, 8)", Assert.Throws<AdapterFileException>(() => model.LoadPretrained(folder.Path)).Message);
        using (var one = new OneLinear(8, 8)) Assert.Throws<ConfigurationException>(() => one.LoadPretrained(folder.Path));
        Assert.All(model.named_parameters(), entry => Assert.DoesNotContain("miss_block", entry.name));
        using var free = model.AttachAdapters();
        Assert.Throws<AdapterFileException>(() => free.LoadAdapter(folder.Path, "other"));
        Assert.Equal(["default"], free.AdapterNames);
    }

    [Fact]
    public void Attributes_with_different_settings_cannot_be_said_in_PEFTs_file()
    {
        using var folder = new TemporaryFolder();
        using var model = new TwoSizes();
        using var adapted = model.AttachAdapters();
        Assert.Equal([4L, 2L], adapted.TrainableParameters().Select(entry => entry.Parameter.shape[0]));
        Assert.Throws<AdapterCombinationException>(() => adapted.SavePretrained(folder.Path));
    }
}

/// <summary>A class whose attributes give its targets different shard sizes.</summary>
[FossilAdapt("up", ShardSize = 4)]
[FossilAdapt("down", ShardSize = 2)]
internal sealed partial class TwoSizes : nn.Module<Tensor, Tensor>
{
    private readonly TorchSharp.Modules.Linear up = nn.Linear(8, 8);
    private readonly TorchSharp.Modules.Linear down = nn.Linear(8, 8);

    public TwoSizes()
        : base(nameof(TwoSizes)) => RegisterComponents();

    public override Tensor forward(Tensor x) => down.forward(up.forward(x));
}
