using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>Conversion to LoRA, as folders that PEFT reads.</summary>
public class LoraConversionTests
{
    [Theory]
    [InlineData(FossilVariant.Balance, 8, 4)]
    [InlineData(FossilVariant.Balance, 10, 4)]
    [InlineData(FossilVariant.Mini, 8, 4)]
    public void Balance_padded_and_Mini_convert_without_loss(FossilVariant variant, int inFeatures, int shardSize)
    {
        using var scope = NewDisposeScope();
        using var layer = new OneLinear(inFeatures, 12);
        using var adapted = layer.AttachAdapters(new FossilConfig { ShardSize = shardSize, Variant = variant, MiniSize = 3, AllowPadding = true });
        TinyModel.Randomize(adapted);
        var (config, change) = Converted(adapted, null, null);
        Assert.Equal(shardSize, config.Rank);
        Assert.Equal(shardSize, config.Alpha);

        var basis = layer.proj.weight.detach().clone();
        adapted.Merge();
        Assert.True((basis + change).allclose(layer.proj.weight, rtol: 0, atol: 1e-6));
    }

    [Fact]
    public void Bat_is_cut_to_a_rank_or_to_a_share_of_the_energy()
    {
        using var scope = NewDisposeScope();
        using var layer = new OneLinear(8, 12);
        using var adapted = layer.AttachAdapters(new FossilConfig { ShardSize = 4, Variant = FossilVariant.Bat });
        TinyModel.Randomize(adapted, scale: 0.5);
        var basis = layer.proj.weight.detach().clone();
        adapted.Merge(keepBase: true);
        var exact = layer.proj.weight.detach() - basis;
        adapted.Unmerge();
        var singular = linalg.svdvals(exact).square();

        Assert.True(exact.allclose(Converted(adapted, 8, null).Change, rtol: 0, atol: 1e-5));
        var (config, change) = Converted(adapted, 3, null);
        Assert.Equal(3, config.Rank);
        Assert.Equal(singular[3..].sum().sqrt().item<float>(), (exact - change).norm().item<float>(), 1e-4);

        var kept = Converted(adapted, null, 0.9).Config.Rank;
        var total = singular.sum().item<float>();
        Assert.True(singular[..kept].sum().item<float>() >= 0.9 * total);
        Assert.True(singular[..(kept - 1)].sum().item<float>() < 0.9 * total);
        Assert.Equal(8, Converted(adapted, null, 1).Config.Rank);

        Assert.Contains("rank or a share", Assert.Throws<AdapterCombinationException>(() => Converted(adapted, null, null)).Message);
        Assert.Throws<AdapterCombinationException>(() => Converted(adapted, 9, null));
        Assert.Throws<AdapterCombinationException>(() => Converted(adapted, 0, null));
        Assert.Throws<AdapterCombinationException>(() => Converted(adapted, null, 1.5));
    }

    [Fact]
    public void Ranks_that_differ_stand_in_the_patterns()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, Variant = FossilVariant.Bat });
        TinyModel.Randomize(adapted, scale: 0.5);
        adapted.SaveAsLora(folder.Path, energy: 0.6);
        var config = (LoraConfig)AdapterConfig.Load(folder.Path);
        using var file = AdapterFile.Open(folder.Path);
        foreach (var target in adapted.Targets)
        {
            var rank = file.GetInfo(new AdapterTensorName(AdapterTensorKind.Adapter, target.Path, "lora_A.weight")).Shape[0];
            Assert.Equal(rank, config.RankPattern.GetValueOrDefault(target.Path, config.Rank));
            Assert.Equal(rank, config.AlphaPattern.GetValueOrDefault(target.Path, config.Alpha));
        }
    }

    [Fact]
    public void An_adapter_that_trains_biases_is_not_converted()
    {
        using var folder = new TemporaryFolder();
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, Bias = AdapterBias.All, TargetModules = ["q_proj"] });
        Assert.Throws<AdapterCombinationException>(() => adapted.SaveAsLora(folder.Path));
    }

    private static (LoraConfig Config, Tensor Change) Converted(AdaptedModel adapted, int? rank, double? energy)
    {
        using var folder = new TemporaryFolder();
        adapted.SaveAsLora(folder.Path, rank: rank, energy: energy);
        using var file = AdapterFile.Open(folder.Path);
        Tensor Load(string name) => file.Load(new AdapterTensorName(AdapterTensorKind.Adapter, "proj", name));
        return ((LoraConfig)AdapterConfig.Load(folder.Path), Load("lora_B.weight").mm(Load("lora_A.weight")));
    }
}
