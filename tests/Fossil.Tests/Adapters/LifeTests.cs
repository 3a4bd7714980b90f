using Fossil.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>What a layer with adapters goes through in a program.</summary>
public class LifeTests
{
    public static TheoryData<FossilVariant> Variants => new(Enum.GetValues<FossilVariant>());

    [Theory]
    [MemberData(nameof(Variants))]
    public void Inputs_of_one_to_five_dimensions_give_what_the_merged_weight_gives(FossilVariant variant)
    {
        using var scope = NewDisposeScope();
        using var layer = Adapted(variant, out var adapted);
        using var _ = adapted;
        foreach (var shape in new long[][] { [8], [3, 8], [2, 3, 8], [2, 1, 3, 8], [2, 1, 2, 3, 8], [0, 8], [2, 0, 8] })
        {
            var x = randn(shape, requires_grad: true);
            var y = layer.forward(x);
            Assert.Equal([.. shape[..^1], 12L], y.shape);
            y.sum().backward();
            Assert.Equal(shape, x.grad!.shape);

            using var noGrad = no_grad();
            adapted.Merge();
            Assert.True(y.allclose(layer.Base(x), rtol: 1e-4, atol: 1e-5));
            adapted.Unmerge();
        }
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void A_non_contiguous_input_counts_as_its_copy(FossilVariant variant)
    {
        using var scope = NewDisposeScope();
        using var layer = Adapted(variant, out var adapted);
        using var _ = adapted;
        var x = randn(8, 5, 3).transpose(0, 2).requires_grad_(true);
        var copy = x.detach().contiguous().requires_grad_(true);
        var (y, expected) = (layer.forward(x), layer.forward(copy));
        Assert.True(y.equal(expected).all().item<bool>());
        var weights = randn_like(expected);
        (y * weights).sum().backward();
        (expected * weights).sum().backward();
        Assert.True(x.grad!.allclose(copy.grad!));
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void Gradients_are_the_same_whether_the_input_wants_one_or_not(FossilVariant variant)
    {
        using var scope = NewDisposeScope();
        using var layer = Adapted(variant, out var adapted);
        using var _ = adapted;
        var x = randn(4, 8);
        var expected = ShardGradient(layer, adapted, x.detach().requires_grad_(true));
        Assert.True(expected.equal(ShardGradient(layer, adapted, x)).all().item<bool>());
    }

    [Fact]
    public void Gradients_of_two_half_batches_add_up_to_those_of_the_whole()
    {
        using var scope = NewDisposeScope();
        using var layer = Adapted(FossilVariant.Balance, out var adapted);
        using var _ = adapted;
        var x = randn(6, 8);
        layer.forward(x).square().sum().backward();
        var whole = Shard(adapted).grad!.clone();
        layer.zero_grad();
        layer.forward(x[..2]).square().sum().backward();
        layer.forward(x[2..]).square().sum().backward();
        Assert.True(whole.allclose(Shard(adapted).grad!, rtol: 1e-4, atol: 1e-5));
    }

    [Fact]
    public void Without_gradients_nothing_is_recorded()
    {
        using var scope = NewDisposeScope();
        using var layer = Adapted(FossilVariant.Balance, out var adapted);
        using var _ = adapted;
        using var noGrad = no_grad();
        Assert.False(layer.forward(randn(4, 8)).requires_grad);
    }

    [Fact]
    public void The_output_may_be_changed_in_place()
    {
        using var scope = NewDisposeScope();
        using var layer = Adapted(FossilVariant.Balance, out var adapted);
        using var _ = adapted;
        layer.forward(randn(2, 3, 8)).add_(1).relu_().sum().backward();
        Assert.NotNull(Shard(adapted).grad);
    }

    [Fact]
    public void Dropout_acts_while_training_only_and_leaves_the_mean()
    {
        using var scope = NewDisposeScope();
        using var layer = new OneLinear(8, 12);
        using var adapted = layer.AttachAdapters(new FossilConfig { ShardSize = 4, Dropout = 0.25 });
        TinyModel.Randomize(adapted);
        var x = ones(20_000, 8);
        layer.eval();
        var kept = layer.forward(x).detach();
        layer.train();
        random.manual_seed(3);
        var dropped = layer.forward(x).detach();
        random.manual_seed(3);
        Assert.True(dropped.equal(layer.forward(x)).all().item<bool>());
        random.manual_seed(4);
        Assert.False(dropped.allclose(layer.forward(x)));
        Assert.True(dropped.mean([0]).allclose(kept[0], rtol: 0, atol: 0.01));
    }

    [Fact]
    public void Dropout_draws_the_same_mask_in_the_backward_pass()
    {
        using var scope = NewDisposeScope();
        using var layer = new OneLinear(8, 12, dtype: ScalarType.Float32);
        using var adapted = layer.AttachAdapters(new FossilConfig { ShardSize = 4, Dropout = 0.5 });
        TinyModel.Randomize(adapted);
        var x = randn(5, 8, requires_grad: true);
        random.manual_seed(3);
        var y = layer.forward(x);
        y.sum().backward();

        // The layer is linear in x: its output is x times the gradient of its sum, plus the bias.
        var product = (x * x.grad!).sum() + (layer.proj.bias! * 5).sum();
        Assert.True(product.allclose(y.sum(), rtol: 1e-4, atol: 1e-4));
    }

    [Theory]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float64)]
    public void Moving_the_model_carries_the_adapters_along(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted);
        var tokens = TinyModel.Tokens();
        var before = model.forward(tokens).detach();
        model.to(dtype);

        Assert.All(adapted.TrainableParameters(), entry => Assert.Equal(dtype, entry.Parameter.dtype));
        Assert.Equal(8, adapted.TrainableParameters().Count);
        var after = model.forward(tokens);
        Assert.Equal(dtype, after.dtype);
        Assert.True(before.allclose(after.to(ScalarType.Float32), rtol: 0.05, atol: 0.1));
        after.sum().backward();
        Assert.All(adapted.TrainableParameters(), entry => Assert.NotNull(entry.Parameter.grad));
    }

    [Fact]
    public void A_model_that_was_moved_before_gets_float32_adapters()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        model.to(ScalarType.BFloat16);
        using var adapted = model.AttachAdapters();
        Assert.All(adapted.TrainableParameters(), entry => Assert.Equal(ScalarType.Float32, entry.Parameter.dtype));
        model.Loss(TinyModel.Tokens()).backward();
        Assert.All(adapted.TrainableParameters(), entry => Assert.Equal(ScalarType.Float32, entry.Parameter.grad!.dtype));
    }

    [SkippableFact]
    public void Moving_to_another_device_carries_the_adapters_along()
    {
        Skip.IfNot(cuda.is_available(), "No CUDA device.");
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted);
        var tokens = TinyModel.Tokens();
        var before = model.forward(tokens).detach();
        model.to(CUDA);
        Assert.True(before.allclose(model.forward(tokens.to(CUDA)).cpu(), rtol: 1e-3, atol: 1e-3));
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void An_input_of_another_dtype_is_computed_in_the_layers_and_returned_in_its_own(FossilVariant variant)
    {
        using var scope = NewDisposeScope();
        using var layer = Adapted(variant, out var adapted);
        using var _ = adapted;
        var x = randn(4, 8).to(ScalarType.BFloat16).requires_grad_(true);
        var y = layer.forward(x);
        Assert.Equal(ScalarType.BFloat16, y.dtype);
        Assert.True(y.equal(layer.forward(x.to(ScalarType.Float32)).to(ScalarType.BFloat16)).all().item<bool>());
        y.sum().backward();
        Assert.Equal(ScalarType.BFloat16, x.grad!.dtype);
    }

    [Fact]
    public void A_recomputed_forward_pass_gives_the_same_gradients()
    {
        using var scope = NewDisposeScope();
        using var layer = new OneLinear(8, 12);
        using var adapted = layer.AttachAdapters(new FossilConfig { ShardSize = 4, Dropout = 0.5 });
        TinyModel.Randomize(adapted);
        var x = randn(4, 8);
        var weights = randn(4, 12);

        random.manual_seed(3);
        var direct = x.detach().requires_grad_(true);
        (layer.forward(direct) * weights).sum().backward();
        var expected = Shard(adapted).grad!.clone();
        layer.zero_grad();

        random.manual_seed(3);
        var checkpointed = x.detach().requires_grad_(true);
        (ActivationCheckpoint.Run((input, _) => layer.forward(input), checkpointed) * weights).sum().backward();
        Assert.True(expected.allclose(Shard(adapted).grad!));
        Assert.True(direct.grad!.allclose(checkpointed.grad!));
    }

    [Fact]
    public void An_input_that_does_not_fit_is_refused_before_the_pass()
    {
        using var scope = NewDisposeScope();
        using var layer = Adapted(FossilVariant.Balance, out var adapted);
        using var _ = adapted;
        Assert.Contains("last dimension must be 8", Assert.Throws<AdapterInputException>(() => layer.forward(randn(4, 7))).Message);
        Assert.Throws<AdapterInputException>(() => layer.forward(tensor(1f)));
        Assert.Throws<AdapterInputException>(() => layer.forward(ones(4, 8, dtype: ScalarType.Int64)));
    }

    [Fact]
    public void A_base_that_is_trained_too_gets_its_gradients()
    {
        using var scope = NewDisposeScope();
        foreach (var variant in Enum.GetValues<FossilVariant>())
        {
            using var layer = Adapted(variant, out var adapted);
            using var _ = adapted;
            var x = randn(4, 8);
            layer.proj.weight.requires_grad = true;
            layer.proj.bias!.requires_grad = true;
            layer.forward(x).square().sum().backward();
            var (weight, bias) = (layer.proj.weight.grad!, layer.proj.bias.grad!);

            // dW of the base is that of the merged weight, except in Bat, where (I + D) comes in between.
            using var noGrad = no_grad();
            var gradient = 2 * layer.forward(x);
            Assert.True(bias.allclose(gradient.sum(dim: 0), rtol: 1e-4, atol: 1e-4));
            if (variant != FossilVariant.Bat) Assert.True(weight.allclose(gradient.t().mm(x), rtol: 1e-4, atol: 1e-4));
        }
    }

    internal static OneLinear Adapted(FossilVariant variant, out AdaptedModel adapted)
    {
        random.manual_seed(1);
        var layer = new OneLinear(8, 12);
        adapted = layer.AttachAdapters(new FossilConfig { ShardSize = 4, Variant = variant, MiniSize = variant == FossilVariant.Mini ? 3 : 1 });
        TinyModel.Randomize(adapted);
        return layer;
    }

    private static TorchSharp.Modules.Parameter Shard(AdaptedModel adapted) => adapted.TrainableParameters().Single().Parameter;

    private static Tensor ShardGradient(OneLinear layer, AdaptedModel adapted, Tensor x)
    {
        layer.zero_grad();
        layer.forward(x).square().sum().backward();
        return Shard(adapted).grad!.clone();
    }
}
