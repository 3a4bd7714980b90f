using Fossil.Serialization;
using Fossil.TestData;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>Models in which two modules share a parameter: merging changes the one that has the adapter, and nothing else.</summary>
public class TiedMergeTests
{
    private const double Close = 1e-5;

    public static TheoryData<string> Ties() => TiedModel.Ties();

    public static TheoryData<string, AdapterConfig> MethodsOnTies()
    {
        var data = new TheoryData<string, AdapterConfig>();
        foreach (var tie in (string[])[TiedModel.HeadTakesEmbeddings, TiedModel.EmbeddingTakesHeads, TiedModel.ByTiedLinear])
        {
            foreach (var config in Methods()) data.Add(tie, config);
        }
        return data;
    }

    [Theory, MemberData(nameof(MethodsOnTies))]
    public void Merging_a_tied_output_layer_leaves_the_embedding_alone(string tie, AdapterConfig config)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new TiedModel(tie);
        var tokens = TiedModel.Tokens();
        var (basis, embedding) = (model.forward(tokens), model.embed.weight!.detach().clone());
        using var adapted = model.AttachAdapters(config);
        TinyModel.Randomize(adapted);
        var expected = model.forward(tokens);
        Assert.True(Largest(basis, expected) > 0.01);

        foreach (var keepBase in new[] { false, true })
        {
            var warnings = CollectedWarnings.During(() => adapted.Merge(safe: true, keepBase: keepBase));
            Assert.Contains(warnings, warning => warning.Contains("'head.weight'", StringComparison.Ordinal) && warning.Contains("'embed.weight'", StringComparison.Ordinal));
            Assert.False(model.IsTied);
            Assert.InRange(Largest(expected, model.forward(tokens)), 0, Close);
            Assert.True(embedding.equal(model.embed.weight!).all().item<bool>());

            adapted.Unmerge();
            Assert.True(model.IsTied);
            Assert.InRange(Largest(expected, model.forward(tokens)), 0, Close);
            using (adapted.DisableAdapters()) Assert.InRange(Largest(basis, model.forward(tokens)), 0, Close);
        }

        adapted.Merge();
        using (adapted.DisableAdapters()) Assert.InRange(Largest(basis, model.forward(tokens)), 0, Close);
        adapted.MergeAndUnload();
        Assert.False(model.IsTied);
        Assert.InRange(Largest(expected, model.forward(tokens)), 0, Close);
        Assert.True(embedding.equal(model.embed.weight!).all().item<bool>());
    }

    [Theory, MemberData(nameof(Ties))]
    public void PiSSA_on_a_tied_output_layer_leaves_the_embedding_alone(string tie)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new TiedModel(tie);
        var (tokens, embedding) = (TiedModel.Tokens(), model.embed.weight!.detach().clone());
        var basis = model.forward(tokens);
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 2, InitLoraWeights = LoraInitialization.Pissa, TargetModules = ["head"] });
        Assert.True(embedding.equal(model.embed.weight!).all().item<bool>());
        Assert.InRange(Largest(basis, model.forward(tokens)), 0, Close);
        TinyModel.Randomize(adapted);
        var expected = model.forward(tokens);
        Assert.True(embedding.equal(model.embed.weight!).all().item<bool>());
        using (adapted.DisableAdapters()) Assert.True(basis.equal(model.forward(tokens)).all().item<bool>());
        adapted.Merge();
        Assert.InRange(Largest(expected, model.forward(tokens)), 0, Close);
        Assert.True(embedding.equal(model.embed.weight!).all().item<bool>());
        adapted.Unmerge();
        adapted.Dispose();
        Assert.True(model.IsTied);
        Assert.True(basis.equal(model.forward(tokens)).all().item<bool>());
    }

    [Theory, MemberData(nameof(Ties))]
    public void Weights_that_are_tied_after_attaching_are_found(string tie)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new TiedModel(tie == TiedModel.ByTiedLinear ? tie : "not yet");
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["head", "up"] });
        model.Tie(tie);
        TinyModel.Randomize(adapted);
        var tokens = TiedModel.Tokens();
        var (expected, embedding) = (model.forward(tokens), model.embed.weight!.detach().clone());
        adapted.Merge();
        Assert.InRange(Largest(expected, model.forward(tokens)), 0, Close);
        Assert.True(embedding.equal(model.embed.weight!).all().item<bool>());
        adapted.Unmerge();
        Assert.True(model.IsTied);
    }

    [Fact]
    public void A_tie_by_TiedLinear_survives_a_cast_and_the_merged_weight_goes_along()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new TiedModel(TiedModel.ByTiedLinear);
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 2, TargetModules = ["head"] });
        TinyModel.Randomize(adapted, scale: 1);
        var tokens = TiedModel.Tokens();
        model.to(ScalarType.Float64);
        Assert.True(model.IsTied);
        Assert.DoesNotContain(model.named_parameters(), entry => entry.name == "head.weight");
        var expected = model.forward(tokens);
        adapted.Merge();
        model.to(ScalarType.Float32);
        Assert.Equal(ScalarType.Float32, model.HeadWeight.dtype);
        Assert.InRange(Largest(expected.to(ScalarType.Float32), model.forward(tokens)), 0, Close);
        adapted.Unmerge();
        Assert.True(model.IsTied);
    }

    [Theory]
    [InlineData(TiedModel.HeadTakesEmbeddings)]
    [InlineData(TiedModel.EmbeddingTakesHeads)]
    public void A_cast_while_merged_ends_in_the_other_modules_weight(string tie)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new TiedModel(tie);
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["head", "up"] });
        TinyModel.Randomize(adapted);
        var tokens = TiedModel.Tokens();
        var expected = model.forward(tokens);
        adapted.Merge();
        model.to(ScalarType.Float64);
        Assert.InRange(Largest(expected.to(ScalarType.Float64), model.forward(tokens).to(ScalarType.Float64)), 0, Close);
        adapted.Unmerge();
        Assert.Equal(ScalarType.Float64, model.HeadWeight.dtype);
        Assert.True(model.IsTied);
        Assert.InRange(Largest(expected.to(ScalarType.Float64), model.forward(tokens)), 0, Close);
    }

    [Theory, MemberData(nameof(Ties))]
    public void A_model_that_was_merged_and_unloaded_is_not_tied_any_more(string tie)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new TiedModel(tie);
        var adapted = model.AttachAdapters(new LoraConfig { Rank = 2, TargetModules = ["head"] });
        TinyModel.Randomize(adapted);
        adapted.MergeAndUnload();
        var (tokens, head) = (TiedModel.Tokens(), model.HeadWeight.detach().clone());
        var expected = model.forward(tokens);
        Assert.DoesNotContain(
            CollectedWarnings.During(() => adapted = model.AttachAdapters(new LoraConfig { Rank = 2, TargetModules = ["head"], ModulesToSave = ["embed"] })),
            warning => warning.Contains("'embed.weight'", StringComparison.Ordinal));
        using (adapted) model.embed.weight!.zero_();
        Assert.True(expected.equal(model.forward(tokens)).all().item<bool>());
        Assert.True(head.equal(model.HeadWeight).all().item<bool>());
    }

    [Fact]
    public void Two_targets_that_share_a_weight_are_merged_apart_and_share_it_again()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new SharedTargets();
        var x = randn(3, 8);
        var basis = model.forward(x);
        using var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted);
        var expected = model.forward(x);
        foreach (var pass in Enumerable.Range(0, 2))
        {
            adapted.Merge(safe: true, keepBase: true);
            Assert.InRange(Largest(expected, model.forward(x)), 0, Close);
            adapted.Unmerge();
            Assert.InRange(Largest(expected, model.forward(x)), 0, Close);
            using (adapted.DisableAdapters()) Assert.True(basis.equal(model.forward(x)).all().item<bool>());
        }

        adapted.MergeAndUnload();
        Assert.InRange(Largest(expected, model.forward(x)), 0, Close);
    }

    [Fact]
    public void Parts_of_one_matrix_are_merged_without_the_matrix()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new FusedTargets();
        var x = randn(3, 8);
        var (basis, fused) = (model.forward(x), model.fused.detach().clone());
        using var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted);
        var expected = model.forward(x);
        adapted.Merge();
        Assert.InRange(Largest(expected, model.forward(x)), 0, Close);
        Assert.True(fused.equal(model.fused).all().item<bool>());
        adapted.Unmerge();
        using (adapted.DisableAdapters()) Assert.True(basis.equal(model.forward(x)).all().item<bool>());
        model.fused.add_(1);
        Assert.True(model.fused.narrow(0, 0, 8).equal(model.query.weight).all().item<bool>());
    }

    [Fact]
    public void A_shared_weight_in_a_layer_that_cannot_be_given_another_is_refused_before_anything_changes()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new SharedCustomLayer();
        using var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted);
        var (plain, custom) = (model.plain.weight.detach().clone(), model.custom.weight.detach().clone());
        var refusal = Assert.Throws<NotAdaptableException>(() => adapted.Merge());
        Assert.Contains("'custom.weight'", refusal.Message, StringComparison.Ordinal);
        Assert.Contains(nameof(TiedLinear), refusal.Message, StringComparison.Ordinal);
        Assert.True(plain.equal(model.plain.weight).all().item<bool>());
        Assert.True(custom.equal(model.custom.weight).all().item<bool>());
        Assert.Empty(adapted.MergedAdapters);
    }

    [Fact]
    public void A_base_weight_that_comes_with_the_adapter_is_used_while_it_is_active()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        using var model = new NamedHead();
        var x = randn(3, 8);
        Tensor trained;
        using (var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["lm_head"] }))
        {
            TinyModel.Randomize(adapted);
            trained = model.forward(x);
            adapted.Merge(keepBase: true);
            adapted.SavePretrained(folder.Path);
            adapted.Unmerge();
            using var file = SafetensorsFile.Open(folder[AdapterFile.FileName]);
            Assert.True(model.lm_head.weight.equal(file.Load("base_model.model.lm_head.base_layer.weight")).all().item<bool>());
        }

        model.lm_head.weight.mul_(2);
        var basis = model.forward(x);
        AdaptedModel? loaded = null;
        Assert.Contains(CollectedWarnings.During(() => loaded = model.LoadPretrained(folder.Path)), warning => warning.Contains("another base", StringComparison.Ordinal));
        using (loaded)
        {
            Assert.True(trained.equal(model.forward(x)).all().item<bool>());
            Assert.DoesNotContain(loaded!.TrainableParameters(), entry => entry.Name == "lm_head.weight");
            using (loaded.DisableAdapters()) Assert.True(basis.equal(model.forward(x)).all().item<bool>());
        }
    }

    [Fact]
    public void A_TiedLinear_is_tied_until_it_is_untied()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var embed = nn.Embedding(6, 4);
        using var head = new TiedLinear(embed);
        Assert.True(head.IsTied);
        Assert.Empty(head.named_parameters());
        Assert.Empty(head.named_modules());
        embed.weight!.add_(1);
        Assert.True(head.forward(eye(4)).t().equal(embed.weight!).all().item<bool>());
        head.Untie();
        Assert.False(head.IsTied);
        embed.weight!.add_(1);
        Assert.True((head.Weight + 1).allclose(embed.weight!));
        head.Tie();
        Assert.True(head.Weight.equal(embed.weight!).all().item<bool>());
        Assert.Throws<ArgumentException>(() => new TiedLinear(nn.ReLU()));
    }

    private static AdapterConfig[] Methods() =>
    [
        new FossilConfig { ShardSize = 4, TargetModules = ["head", "up"] },
        new FossilConfig { ShardSize = 4, Variant = FossilVariant.Mini, MiniSize = 2, TargetModules = ["head", "up"] },
        new FossilConfig { ShardSize = 4, Variant = FossilVariant.Bat, TargetModules = ["head", "up"] },
        new LoraConfig { Rank = 2, TargetModules = ["head", "up"] },
        new LoraConfig { Rank = 2, UseDora = true, TargetModules = ["head", "up"] },
    ];

    private static double Largest(Tensor one, Tensor other) => (one - other).abs().max().to(ScalarType.Float64).item<double>();
}
