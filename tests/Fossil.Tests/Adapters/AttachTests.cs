using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>Attaching: what is adapted, what is trained, what it costs where nothing is.</summary>
public class AttachTests
{
    [Fact]
    public void Attaching_changes_no_output_and_freezes_the_base()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        var tokens = TinyModel.Tokens();
        var before = model.forward(tokens).detach();
        using var adapted = model.AttachAdapters();

        Assert.True(before.equal(model.forward(tokens)).all().item<bool>());
        Assert.Equal(
            [.. new[] { "q_proj", "v_proj", "experts.0", "experts.1" }.SelectMany(name => new[] { $"layers.0.{name}.miss_block.default", $"layers.1.{name}.miss_block.default" }).Order()],
            adapted.TrainableParameters().Select(entry => entry.Name).Order());
        Assert.All(adapted.TrainableParameters(), entry => Assert.Equal([4L, TinyModel.Width], entry.Parameter.shape));
    }

    [Fact]
    public void Training_lowers_the_loss_and_moves_nothing_of_the_base()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        var tokens = TinyModel.Tokens();
        var frozen = model.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value.detach().clone());
        using var adapted = model.AttachAdapters();
        using var optimizer = adapted.CreateOptimizer(learningRate: 1e-2);

        double first = 0, last = 0;
        for (var step = 0; step < 10; step++)
        {
            using var stepScope = NewDisposeScope();
            var loss = model.Loss(tokens);
            optimizer.zero_grad();
            loss.backward();
            optimizer.step();
            last = loss.item<float>();
            if (step == 0) first = last;
        }

        Assert.True(last < first - 0.05, $"loss {first} -> {last}");
        var after = model.state_dict();
        Assert.All(frozen, entry => Assert.True(entry.Value.equal(after[entry.Key]).all().item<bool>(), entry.Key));
    }

    [Fact]
    public void Attaching_inside_a_dispose_scope_outlives_it()
    {
        using var model = new TinyModel();
        AdaptedModel adapted;
        using (NewDisposeScope()) adapted = model.AttachAdapters();
        using (adapted)
        {
            Assert.Equal(8, adapted.TrainableParameters().Count);
            using var scope = NewDisposeScope();
            model.Loss(TinyModel.Tokens()).backward();
            Assert.All(adapted.TrainableParameters(), entry => Assert.NotNull(entry.Parameter.grad));
        }
    }

    [Fact]
    public void Disposing_removes_the_adapters_and_thaws_what_was_not_frozen_before()
    {
        using var model = new TinyModel();
        var names = model.named_parameters().Select(entry => entry.name).ToArray();
        model.lm_head.bias!.requires_grad = false;
        model.AttachAdapters().Dispose();

        Assert.Equal(names, model.named_parameters().Select(entry => entry.name));
        Assert.Equal(["lm_head.bias"], model.named_parameters().Where(entry => !entry.parameter.requires_grad).Select(entry => entry.name));
        using var again = model.AttachAdapters();
        Assert.Equal(8, again.TrainableParameters().Count);
    }

    [Fact]
    public void A_model_takes_adapters_once()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters();
        Assert.Throws<AdapterStateException>(() => model.AttachAdapters());
        var error = Assert.Throws<AdapterStateException>(() => model.layers[0].AttachAdapters());
        Assert.Contains("q_proj", error.Message);
        Assert.Equal(8, adapted.TrainableParameters().Count);
    }

    [Fact]
    public void A_model_without_annotation_is_refused()
    {
        using var model = nn.Sequential(("up", nn.Linear(4, 4)));
        Assert.Contains("[FossilAdapt", Assert.Throws<NotAdaptableException>(() => model.AttachAdapters()).Message);
    }

    [Fact]
    public void A_module_that_is_not_annotated_is_refused_with_the_class_to_annotate()
    {
        using var model = new TinyModel();
        var error = Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["q_proj", "lm_head"] }));
        Assert.Contains("[FossilAdapt(\"lm_head\", …)] on TinyModel", error.Message);
        Assert.All(model.named_parameters(), entry => Assert.True(entry.parameter.requires_grad));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(16)]
    public void A_shard_size_that_does_not_divide_is_refused_unless_padding_is_asked_for(int shardSize)
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        var config = new FossilConfig { ShardSize = shardSize, TargetModules = ["q_proj"] };
        Assert.Contains("AllowPadding", Assert.Throws<ShardSizeException>(() => model.AttachAdapters(config)).Message);
        using var adapted = model.AttachAdapters(config with { AllowPadding = true });
        model.Loss(TinyModel.Tokens()).backward();
        Assert.All(adapted.TrainableParameters(), entry => Assert.NotNull(entry.Parameter.grad));
    }

    [Fact]
    public void A_shard_size_without_kernels_works_and_says_so_once()
    {
        using var scope = NewDisposeScope();
        var warnings = CollectedWarnings.During(() =>
        {
            using var model = new TinyModel();
            using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 13, AllowPadding = true, TargetModules = ["q_proj"] });
            adapted.AddAdapter("second", new FossilConfig { ShardSize = 13, AllowPadding = true, TargetModules = ["v_proj"] });
            model.Loss(TinyModel.Tokens()).backward();
        });

        Assert.Contains("[assembly: FossilShardSizes(13)]", Assert.Single(warnings, warning => warning.Contains("shard size 13", StringComparison.Ordinal)));
    }

    [Fact]
    public void All_linear_takes_every_linear_layer_but_the_output()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ModuleSelector.AllLinear });
        Assert.Equal(8, adapted.TrainableParameters().Count);
    }

    [Fact]
    public void The_summary_reads_as_PEFTs()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters();
        var (trainable, all) = adapted.CountParameters();
        Assert.Equal(8 * 4 * TinyModel.Width, trainable);
        using var writer = new StringWriter();
        adapted.PrintTrainableParameters(writer);
        Assert.Equal($"trainable params: {trainable} || all params: {all} || trainable%: {100.0 * trainable / all:F4}", writer.ToString().TrimEnd().Replace(",", string.Empty));
    }

    [Fact]
    public void Weights_that_start_at_random_have_the_spread_of_Kaiming_uniform()
    {
        using var scope = NewDisposeScope();
        using var model = new OneLinear(256, 512);
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 64, InitWeights = false });
        var values = adapted.TrainableParameters().Single().Parameter;
        // kaiming_uniform(a = √5) on (r, out): the bound is 1/√out.
        var bound = 1 / Math.Sqrt(512);
        Assert.True(values.abs().max().item<float>() <= bound);
        Assert.InRange(values.std().item<float>(), 0.97 * bound / Math.Sqrt(3), 1.03 * bound / Math.Sqrt(3));
    }
}
