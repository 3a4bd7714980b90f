using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary><c>modules_to_save</c> and <c>bias</c>: parts of the base that an adapter trains and saves whole.</summary>
public class TrainedBaseTests
{
    private static readonly FossilConfig WithHead = new() { ShardSize = 4, TargetModules = ["q_proj"], ModulesToSave = ["lm_head"] };

    [Fact]
    public void A_saved_module_trains_with_its_adapter_and_comes_and_goes_with_it()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = new TinyModel();
        var tokens = TinyModel.Tokens();
        var before = model.forward(tokens).detach();
        using var adapted = model.AttachAdapters(WithHead);
        Assert.Equal(["lm_head.bias", "lm_head.weight"], adapted.TrainableParameters().Select(entry => entry.Name).Where(name => name.StartsWith("lm_head", StringComparison.Ordinal)).Order());

        using var optimizer = adapted.CreateOptimizer(1e-2);
        model.Loss(tokens).backward();
        optimizer.step();
        var trained = model.forward(tokens).detach();
        using (adapted.DisableAdapters()) Assert.True(before.equal(model.forward(tokens)).all().item<bool>());
        Assert.True(trained.equal(model.forward(tokens)).all().item<bool>());

        adapted.SavePretrained(folder.Path);
        using (var file = SafetensorsFile.Open(folder[AdapterFile.FileName])) Assert.Contains("base_model.model.lm_head.weight", file.Names);
        adapted.AddAdapter("other", WithHead with { ModulesToSave = null });
        adapted.SetAdapter("other");
        Assert.True(before.equal(model.forward(tokens)).all().item<bool>());
        adapted.Dispose();
        Assert.True(before.equal(model.forward(tokens)).all().item<bool>());

        using var loaded = model.LoadPretrained(folder.Path);
        Assert.True(trained.equal(model.forward(tokens)).all().item<bool>());
    }

    [Fact]
    public void A_merged_adapter_leaves_its_saved_module_in_place()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        var adapted = model.AttachAdapters(WithHead);
        using (var noGrad = no_grad()) model.lm_head.weight.mul_(2);
        TinyModel.Randomize(adapted);
        var tokens = TinyModel.Tokens();
        var expected = model.forward(tokens).detach();
        adapted.MergeAndUnload();
        Assert.True(expected.allclose(model.forward(tokens), rtol: 1e-4, atol: 1e-4));
    }

    [Fact]
    public void Two_adapters_keep_their_own_saved_module_and_cannot_be_active_together()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(WithHead, "a");
        adapted.AddAdapter("b", WithHead);
        var basis = model.lm_head.weight.detach().clone();
        using (var noGrad = no_grad()) model.lm_head.weight.add_(1);
        adapted.SetAdapter("b");
        Assert.True(basis.equal(model.lm_head.weight).all().item<bool>());
        using (var noGrad = no_grad()) model.lm_head.weight.add_(2);
        adapted.SetAdapter("a");
        Assert.True((basis + 1).allclose(model.lm_head.weight));
        adapted.SetAdapter("b");
        Assert.True((basis + 2).allclose(model.lm_head.weight));
        Assert.Contains("lm_head", Assert.Throws<AdapterCombinationException>(() => adapted.SetAdapter("a", "b")).Message);
        Assert.Contains("lm_head", Assert.Throws<AdapterCombinationException>(() => adapted.UseAdapters(["a", "b"])).Message);
        adapted.DeleteAdapter("b");
        Assert.True(basis.equal(model.lm_head.weight).all().item<bool>());
    }

    [Theory]
    [InlineData(AdapterBias.None, 0)]
    [InlineData(AdapterBias.AdapterOnly, 2)]
    [InlineData(AdapterBias.All, 9)]
    public void Biases_train_as_configured_and_are_saved_under_PEFTs_names(AdapterBias bias, int expected)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = new TinyModel();
        using (var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["q_proj"], Bias = bias }))
        {
            Assert.Equal(expected, adapted.TrainableParameters().Count(entry => entry.Name.EndsWith(".bias", StringComparison.Ordinal)));
            model.Loss(TinyModel.Tokens()).backward();
            Assert.All(adapted.TrainableParameters(), entry => Assert.NotNull(entry.Parameter.grad));
            adapted.SavePretrained(folder.Path);
        }

        using (var file = SafetensorsFile.Open(folder[AdapterFile.FileName]))
        {
            Assert.Equal(expected, file.Names.Count(name => name.EndsWith(".bias", StringComparison.Ordinal)));
            Assert.Equal(expected > 0, file.Names.Contains("base_model.model.layers.0.q_proj.base_layer.bias"));
        }

        using var loaded = model.LoadPretrained(folder.Path);
    }
}
