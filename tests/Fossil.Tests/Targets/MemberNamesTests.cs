using Fossil.Serialization;
using Fossil.Targets;
using Fossil.TestData;
using Fossil.Tests.Adapters;
using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Targets;

/// <summary>Properties without a body, which TorchSharp registers under the name of the field that the compiler makes for them.</summary>
public class MemberNamesTests
{
    [Theory]
    [InlineData("<Gate>k__BackingField", "Gate")]
    [InlineData("layers.0.<Gate>k__BackingField.<Up>k__BackingField.weight", "layers.0.Gate.Up.weight")]
    [InlineData("<block>P.up", "block.up")]
    [InlineData("Gate@.up", "Gate.up")]
    [InlineData("model.layers.0.q_proj", "model.layers.0.q_proj")]
    [InlineData("<>c__DisplayClass0.x", "<>c__DisplayClass0.x")]
    [InlineData("", "")]
    public void Are_read_as_they_are_written(string registered, string written) => Assert.Equal(written, MemberNames.Written(registered));

    [Fact]
    public void A_property_is_chosen_and_saved_by_its_name()
    {
        using var folder = new TemporaryFolder();
        using var model = new GatedModel();
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["Gate"], ModulesToSave = ["Head"], Bias = AdapterBias.All });
        Assert.Equal(["Block.Gate"], adapted.Targets.Where(target => target.Layers.Count > 0).Select(target => target.Path));

        adapted.SavePretrained(folder.Path);
        using var file = SafetensorsFile.Open(folder[AdapterFile.FileName]);
        Assert.Equal(
            ["base_model.model.Block.Gate.base_layer.bias", "base_model.model.Block.Gate.miss_block", "base_model.model.Block.Up.bias", "base_model.model.Head.bias", "base_model.model.Head.weight"],
            file.Names.Order(StringComparer.Ordinal));
        Assert.DoesNotContain("BackingField", File.ReadAllText(folder[AdapterConfig.FileName]));
    }

    [Fact]
    public void Attributes_choose_properties_by_their_names()
    {
        using var folder = new TemporaryFolder();
        using var model = new GatedModel();
        using (var adapted = model.AttachAdapters())
        {
            adapted.SavePretrained(folder.Path);
            Assert.Equal(["Gate", "Up"], adapted.GetConfig().TargetModules!.Names);
        }
        using var loaded = model.LoadPretrained(folder.Path);
        Assert.Equal(2, loaded.Targets.Count(target => target.Layers.Count > 0));
    }

    [Theory]
    [InlineData("<Gate>k__BackingField")]
    [InlineData("<Block>k__BackingField.<Gate>k__BackingField")]
    [InlineData("re:.*<(Gate)>k__BackingField")]
    public void Files_with_the_fields_names_load(string targets)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = new GatedModel();
        var input = randn(2, 8);
        Tensor expected;
        using (var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["Gate"], ModulesToSave = ["Head"] }))
        {
            TinyModel.Randomize(adapted);
            expected = model.forward(input).detach();
            adapted.SavePretrained(folder.Path);
        }

        // As earlier versions wrote it.
        Rewrite(folder.Path, name => name.Replace("Block.Gate", "<Block>k__BackingField.<Gate>k__BackingField").Replace("Head", "<Head>k__BackingField"));
        var config = AdapterConfig.Load(folder.Path);
        (config with { TargetModules = targets.StartsWith("re:", StringComparison.Ordinal) ? ModuleSelector.FromPattern(targets[3..]) : ModuleSelector.Create([targets]), ModulesToSave = ["<Head>k__BackingField"] }).Save(folder.Path);

        using var loaded = model.LoadPretrained(folder.Path);
        Assert.True(expected.equal(model.forward(input)).all().item<bool>());
        loaded.SavePretrained(folder.Path);
        Assert.DoesNotContain("BackingField", File.ReadAllText(folder[AdapterConfig.FileName]));
        using var file = SafetensorsFile.Open(folder[AdapterFile.FileName]);
        Assert.All(file.Names, name => Assert.DoesNotContain("BackingField", name));
    }

    [Fact]
    public void Checkpoints_with_the_fields_names_load()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = new GatedModel();
        using var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted);
        var trainable = new TrainableAdapter(adapted);
        trainable.Save(folder.Path);
        var before = trainable.TrainableParameters().ToDictionary(entry => entry.Name, entry => entry.Parameter.detach().clone());
        Rewrite(folder.Path, name => name.Replace("Block.Gate", "<Block>k__BackingField.<Gate>k__BackingField").Replace("Block.Up", "<Block>k__BackingField.<Up>k__BackingField"));
        TinyModel.Randomize(adapted);
        trainable.Load(folder.Path);
        Assert.All(trainable.TrainableParameters(), entry => Assert.True(before[entry.Name].equal(entry.Parameter).all().item<bool>(), entry.Name));
    }

    [Fact]
    public void Patterns_of_ranks_are_read_by_both_names()
    {
        using var model = new GatedModel();
        foreach (var name in new[] { "Gate", "<Gate>k__BackingField" })
        {
            using var adapted = model.AttachAdapters(new LoraConfig { Rank = 2, RankPattern = new Dictionary<string, int> { [name] = 3 } });
            Assert.Equal([2L, 3L], adapted.TrainableParameters().Where(entry => entry.Name.Contains("lora_A", StringComparison.Ordinal)).Select(entry => entry.Parameter.shape[0]).Order());
        }
    }

    [Fact]
    public void A_property_that_hides_a_field_of_its_name_keeps_the_compilers()
    {
        using var folder = new TemporaryFolder();
        using var model = new Hiding();
        using (var adapted = model.AttachAdapters())
        {
            Assert.Equal(["<Gate>k__BackingField"], adapted.Targets.Select(target => target.Path));
            TinyModel.Randomize(adapted);
            adapted.SavePretrained(folder.Path);
        }
        using var loaded = model.LoadPretrained(folder.Path);
        Assert.Single(loaded.Targets, target => target.Layers.Count > 0);
    }

    private static void Rewrite(string folder, Func<string, string> rename)
    {
        using var scope = NewDisposeScope();
        var path = Path.Combine(folder, AdapterFile.FileName);
        List<(string Name, Tensor Tensor)> tensors;
        using (var file = SafetensorsFile.Open(path)) tensors = [.. file.Names.Select(name => (rename(name), file.Load(name)))];
        Assert.Contains(tensors, entry => entry.Name.Contains("BackingField", StringComparison.Ordinal));
        SafetensorsWriter.Save(path, tensors, [new("format", "pt")]);
    }
}

[FossilAdapt("Gate", "Up", ShardSize = 4)]
internal sealed partial class GatedBlock : nn.Module<Tensor, Tensor>
{
    public GatedBlock()
        : base(nameof(GatedBlock)) => RegisterComponents();

    public Linear Gate { get; } = nn.Linear(8, 8);

    public Linear Up { get; private set; } = nn.Linear(8, 8);

    public override Tensor forward(Tensor x) => Gate.forward(x) * Up.forward(x);
}

internal sealed class GatedModel : nn.Module<Tensor, Tensor>
{
    public GatedModel()
        : base(nameof(GatedModel)) => RegisterComponents();

    public GatedBlock Block { get; } = new();

    public Linear Head { get; } = nn.Linear(8, 8);

    public override Tensor forward(Tensor x) => Head.forward(Block.forward(x));
}

internal abstract class Hidden(string name) : nn.Module<Tensor, Tensor>(name)
{
    protected readonly Linear Gate = nn.Linear(8, 8);
}

[FossilAdapt("Gate", ShardSize = 4)]
internal sealed partial class Hiding : Hidden
{
    public Hiding()
        : base(nameof(Hiding)) => RegisterComponents();

    public new Linear Gate { get; } = nn.Linear(8, 8);

    public override Tensor forward(Tensor x) => Gate.forward(base.Gate.forward(x));
}
