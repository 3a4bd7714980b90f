using Fossil.Serialization;
using Fossil.TestData;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>Models in which two modules share a parameter: copies of one end (<c>modules_to_save</c>), of both, and adapters on both ends that are tied.</summary>
public class TiedSavedModuleTests
{
    private const double Close = 1e-5;

    public static TheoryData<string> Ties() => TiedModel.Ties();

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
