using Fossil.Serialization;
using Fossil.TestData;
using Fossil.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>Models in which two modules share a parameter: an adapter changes what it is asked to change, and nothing else.</summary>
public class TiedWeightTests
{
    private const double Close = 1e-5;

    public static TheoryData<string> Ties() => [TiedModel.HeadTakesEmbeddings, TiedModel.EmbeddingTakesHeads, TiedModel.ByTiedLinear];

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
    public void Saved_modules_on_a_tie_have_copies_of_their_own(string tie)
    {
        foreach (var saved in (string[][])[["embed"], ["head"], ["embed", "head"]])
        {
            using var scope = NewDisposeScope();
            using var folder = new TemporaryFolder();
            using var model = new TiedModel(tie);
            var tokens = TiedModel.Tokens();
            var basis = model.forward(tokens).detach();
            using var adapted = model.AttachAdapters(new LoraConfig { Rank = 2, TargetModules = ["up"], ModulesToSave = saved });
            Assert.True(basis.equal(model.forward(tokens)).all().item<bool>());
            Assert.Equal(saved.Select(name => $"{name}.weight").Order(), adapted.TrainableParameters().Select(entry => entry.Name).Where(name => !name.StartsWith("up", StringComparison.Ordinal)).Order());
            var values = model.embed.weight!.detach().clone();
            using (var optimizer = adapted.CreateOptimizer(0.1))
            {
                // Switching adapters off in between must not cost the optimizer its parameters.
                foreach (var pass in Enumerable.Range(0, 2))
                {
                    model.forward(tokens).square().mean().backward();
                    optimizer.step();
                    optimizer.zero_grad();
                    using (adapted.DisableAdapters()) Assert.True(basis.equal(model.forward(tokens)).all().item<bool>());
                }
            }

            Assert.Equal(saved.Contains("embed"), !values.equal(model.embed.weight!).all().item<bool>());
            Assert.Equal(saved.Contains("head"), !values.equal(model.HeadWeight).all().item<bool>());
            Assert.InRange(Largest(values - 0.2, saved.Contains("embed") ? model.embed.weight! : model.HeadWeight), 0, 0.45);
            var trained = model.forward(tokens).detach();
            adapted.SavePretrained(folder.Path);
            adapted.Dispose();
            Assert.True(model.IsTied);
            Assert.True(basis.equal(model.forward(tokens)).all().item<bool>());

            using var loaded = model.LoadPretrained(folder.Path);
            Assert.True(trained.equal(model.forward(tokens)).all().item<bool>());
            loaded.MergeAndUnload();
            Assert.False(model.IsTied);
            Assert.InRange(Largest(trained, model.forward(tokens)), 0, Close);
        }
    }

    [Theory, MemberData(nameof(Ties))]
    public void Adapters_that_copy_either_end_take_turns(string tie)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new TiedModel(tie);
        var tokens = TiedModel.Tokens();
        var basis = model.forward(tokens);
        LoraConfig Saving(params string[] modules) => new() { Rank = 2, TargetModules = ["up"], ModulesToSave = modules };
        using var adapted = model.AttachAdapters(Saving("head"), "head");
        adapted.AddAdapter("embed", Saving("embed"));
        adapted.AddAdapter("both", Saving("embed", "head"));
        adapted.AddAdapter("none", Saving("down"));
        var expected = new Dictionary<string, Tensor>();
        foreach (var (i, name) in adapted.AdapterNames.Index())
        {
            adapted.SetAdapter(name);
            foreach (var (_, parameter) in adapted.TrainableParameters().Where(entry => !entry.Name.StartsWith("up", StringComparison.Ordinal))) parameter.add_((i + 1) * 0.1);
            expected[name] = model.forward(tokens);
        }

        foreach (var name in (string[])["embed", "head", "both", "embed", "none", "head", "none", "both", "head", "embed", "both"])
        {
            adapted.SetAdapter(name);
            Assert.True(expected[name].equal(model.forward(tokens)).all().item<bool>(), name);
            using (adapted.DisableAdapters()) Assert.True(basis.equal(model.forward(tokens)).all().item<bool>(), name);
            Assert.True(expected[name].equal(model.forward(tokens)).all().item<bool>(), name);
        }

        Assert.Throws<AdapterCombinationException>(() => adapted.SetAdapter("head", "both"));
        adapted.Dispose();
        Assert.True(model.IsTied);
        Assert.True(basis.equal(model.forward(tokens)).all().item<bool>());
    }

    [Theory, MemberData(nameof(Ties))]
    public void What_goes_takes_nothing_of_the_other_end_along(string tie)
    {
        foreach (var (stays, goes) in ((string, string)[])[("embed", "head"), ("head", "embed")])
        {
            foreach (var merged in (bool[])[false, true])
            {
                using var scope = NewDisposeScope();
                using var noGrad = no_grad();
                using var model = new TiedModel(tie);
                var (tokens, basis) = (TiedModel.Tokens(), model.embed.weight!.detach().clone());
                LoraConfig On(string end, bool saves) => new() { Rank = 2, TargetModules = saves ? ["up"] : ["up", end], ModulesToSave = saves ? [end] : null };

                // One end has an adapter, or is saved whole; the other is saved whole by an adapter that is removed.
                using var adapted = model.AttachAdapters(On(stays, saves: !merged), "stays");
                adapted.AddAdapter("goes", On(goes, saves: true));
                Tensor Weight(string end) => end == "head" ? model.HeadWeight : model.embed.weight!;
                adapted.SetAdapter("goes");
                Weight(goes).add_(1);
                adapted.SetAdapter("stays", "goes");
                if (!merged) Weight(stays).add_(2);
                else TinyModel.Randomize(adapted, "stays");
                if (merged) adapted.Merge(["stays"]);
                var staying = Weight(stays).detach().clone();
                Assert.False(staying.equal(basis).all().item<bool>());
                Assert.True((basis + 1).equal(Weight(goes)).all().item<bool>());

                adapted.DeleteAdapter("goes");
                Assert.True(basis.equal(Weight(goes)).all().item<bool>(), $"{goes} went, merged: {merged}");
                Assert.True(staying.equal(Weight(stays)).all().item<bool>(), $"{stays} stayed, merged: {merged}");
                if (merged) adapted.Unmerge();
                adapted.DeleteAdapter("stays");
                Assert.True(model.IsTied);
                Assert.InRange(Largest(basis, model.HeadWeight), 0, Close);
            }
        }
    }

    [Theory, MemberData(nameof(Ties))]
    public void An_adapter_that_ties_finds_the_tie_while_another_has_a_copy_of_one_end(string tie)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new TiedModel(tie);
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 2, TargetModules = ["up"], ModulesToSave = ["embed"] }, "apart");
        Assert.False(model.IsTied);
        adapted.AddAdapter("together", new LoraConfig { Rank = 2, TargetModules = ["up"], ModulesToSave = ["head"], EnsureWeightTying = true });
        adapted.SetAdapter("together");
        Assert.True(model.IsTied);
        Assert.Contains("embed.weight", adapted.TrainableParameters().Select(entry => entry.Name));
        adapted.SetAdapter("apart");
        Assert.False(model.IsTied);
        Assert.Throws<AdapterCombinationException>(() => adapted.SetAdapter("apart", "together"));
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

    [Theory, MemberData(nameof(Ties))]
    public void Ensured_tying_trains_one_copy_and_saves_it_under_both_names(string tie)
    {
        foreach (var saved in (string[][])[["embed"], ["head"], ["embed", "head"]])
        {
            using var scope = NewDisposeScope();
            using var folder = new TemporaryFolder();
            using var model = new TiedModel(tie);
            var tokens = TiedModel.Tokens();
            var basis = model.forward(tokens).detach();
            AdaptedModel? adapted = null;
            Assert.DoesNotContain(CollectedWarnings.During(() => adapted = model.AttachAdapters(new LoraConfig { Rank = 2, TargetModules = ["up"], ModulesToSave = saved, EnsureWeightTying = true })), warning => warning.Contains(nameof(TiedModel), StringComparison.Ordinal));
            using (adapted)
            {
                Assert.Contains("embed.weight", adapted!.TrainableParameters().Select(entry => entry.Name));
                using (var optimizer = adapted.CreateOptimizer(0.1))
                {
                    model.forward(tokens).square().mean().backward();
                    optimizer.step();
                }

                Assert.True(model.IsTied);
                var trained = model.forward(tokens).detach();
                Assert.True(Largest(basis, trained) > 0.01);
                adapted.SavePretrained(folder.Path);
                using (var file = SafetensorsFile.Open(folder[AdapterFile.FileName]))
                    Assert.Equal(["base_model.model.embed.weight", "base_model.model.head.weight"], file.Names.Where(name => !name.Contains("lora", StringComparison.Ordinal)).Order());
                using (adapted.DisableAdapters()) Assert.True(basis.equal(model.forward(tokens)).all().item<bool>());
                adapted.Dispose();
                using var loaded = model.LoadPretrained(folder.Path);
                Assert.True(trained.equal(model.forward(tokens)).all().item<bool>());
                Assert.True(model.IsTied);
            }
        }
    }

    [Theory, MemberData(nameof(Ties))]
    public void Adapters_on_both_ends_share_their_parameters_where_tying_is_ensured(string tie)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = new TiedModel(tie);
        var tokens = TiedModel.Tokens();
        var basis = model.forward(tokens).detach();
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 2, TargetModules = ["head"], EnsureWeightTying = true, Alpha = 6 });
        Assert.Equal(
            ["embed.lora_embedding_A.default", "embed.lora_embedding_B.default", "head.lora_A.default.weight", "head.lora_B.default.weight"],
            adapted.TrainableParameters().Select(entry => entry.Name).Order(StringComparer.Ordinal));
        Assert.True(basis.equal(model.forward(tokens)).all().item<bool>());

        void AssertShared()
        {
            using var noGrad = no_grad();
            var parameters = adapted.TrainableParameters().ToDictionary(entry => entry.Name, entry => entry.Parameter);
            Assert.True(parameters["embed.lora_embedding_A.default"].t().equal(parameters["head.lora_B.default.weight"]).all().item<bool>());
            Assert.True(parameters["embed.lora_embedding_B.default"].t().equal(parameters["head.lora_A.default.weight"]).all().item<bool>());
            Assert.True(parameters["head.lora_B.default.weight"].to(ScalarType.Float32).abs().max().item<float>() > 0);
        }

        Train(model, adapted, tokens);
        AssertShared();
        if (tie == TiedModel.ByTiedLinear)
        {
            // A cast copies each parameter by itself.
            model.to(ScalarType.Float64);
            Train(model, adapted, tokens);
            AssertShared();
            model.to(ScalarType.Float32);
            basis = Base(model, adapted, tokens);
        }

        var trained = model.forward(tokens).detach();
        adapted.SavePretrained(folder.Path);
        adapted.SaveAsLora(folder["converted"]);
        adapted.Merge();
        Assert.InRange(Largest(trained, model.forward(tokens)), 0, Close);
        adapted.Unmerge();
        Assert.InRange(Largest(basis, Base(model, adapted, tokens)), 0, Close);
        adapted.Dispose();
        foreach (var saved in (string[])[folder.Path, folder["converted"]])
        {
            using var loaded = model.LoadPretrained(saved);
            Assert.InRange(Largest(trained, model.forward(tokens)), 0, Close);
        }
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
    public void A_shared_bias_is_trained_as_one_and_saved_under_both_names()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = new SharedTargets();
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["second"], Bias = AdapterBias.All });
        var before = model.first.bias!.detach().clone();
        using (var optimizer = adapted.CreateOptimizer(0.1))
        {
            model.forward(ones(2, 8)).square().mean().backward();
            optimizer.step();
        }

        Assert.False(before.equal(model.first.bias!).all().item<bool>());
        Assert.True(model.first.bias!.equal(model.second.bias!).all().item<bool>());
        adapted.SavePretrained(folder.Path);
        using (var file = SafetensorsFile.Open(folder[AdapterFile.FileName]))
            Assert.Equal(["base_model.model.first.bias", "base_model.model.second.base_layer.bias"], file.Names.Where(name => name.EndsWith("bias", StringComparison.Ordinal)).Order());
        adapted.Dispose();
        using var loaded = model.LoadPretrained(folder.Path);
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

    private static Tensor Base(TiedModel model, AdaptedModel adapted, Tensor tokens)
    {
        using (adapted.DisableAdapters()) return model.forward(tokens).detach();
    }

    private static void Train(TiedModel model, AdaptedModel adapted, Tensor tokens)
    {
        using var optimizer = adapted.CreateOptimizer(0.1);
        foreach (var pass in Enumerable.Range(0, 3))
        {
            model.forward(tokens).square().mean().backward();
            optimizer.step();
            optimizer.zero_grad();
        }
    }

    private static double Largest(Tensor one, Tensor other) => (one - other).abs().max().to(ScalarType.Float64).item<double>();
}

/// <summary>A layer of the user's own, whose field nobody else can set.</summary>
internal sealed class CustomLayer : nn.Module<Tensor, Tensor>
{
    public readonly Parameter weight;

    public CustomLayer(Parameter weight)
        : base(nameof(CustomLayer))
    {
        this.weight = weight;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => nn.functional.linear(x, weight);
}

/// <summary>Such a layer as a target, which shares its weight.</summary>
[FossilAdapt("custom", "plain", ShardSize = 4)]
internal sealed partial class SharedCustomLayer : nn.Module<Tensor, Tensor>
{
    public readonly CustomLayer custom;
    public readonly Linear plain;

    public SharedCustomLayer()
        : base(nameof(SharedCustomLayer))
    {
        random.manual_seed(6);
        plain = nn.Linear(8, 8);
        custom = new CustomLayer(plain.weight);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => custom.forward(plain.forward(x));
}

/// <summary>A layer by the name that PEFT knows an output layer by.</summary>
[FossilAdapt("lm_head", ShardSize = 4)]
internal sealed partial class NamedHead : nn.Module<Tensor, Tensor>
{
    public readonly Linear lm_head;

    public NamedHead()
        : base(nameof(NamedHead))
    {
        random.manual_seed(7);
        lm_head = nn.Linear(8, 8);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => lm_head.forward(x);
}
