using Fossil.Tests.Adapters;
using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Training;

/// <summary><see cref="FusedAdamW.Backward"/> gives the gradients of <c>backward()</c>, bit for bit, in the optimizer's buffer, whatever else the parameters are used for.</summary>
public sealed class OptimizerBackwardTests
{
    public static TheoryData<AdapterConfig> Configs() =>
    [
        .. FlatBuffersTests.Configs().Cast<object[]>().Select(row => (AdapterConfig)row[0]),
        new FossilConfig { ShardSize = 4, Variant = FossilVariant.Mini, MiniSize = 4 },
        new FossilConfig { ShardSize = 3, AllowPadding = true },
        new LoraConfig { Rank = 2, InitLoraWeights = LoraInitialization.Pissa },
        new VeraConfig { Rank = 4 },
        new IA3Config { TargetModules = ["q_proj", "v_proj"], FeedforwardModules = ["v_proj"] },
    ];

    [Theory]
    [MemberData(nameof(Configs))]
    public void Its_gradients_are_those_of_libtorch_one_behind_the_other(AdapterConfig config)
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var adapted = Adapted(model, config);
        using var optimizer = adapted.CreateOptimizer();
        for (var step = 0; step < 3; step++)
        {
            var expected = Expected(adapted, model.Loss(TinyModel.Tokens(step)));
            optimizer.zero_grad();
            if (step > 0) Assert.All(adapted.TrainableParameters(), named => Assert.Null(named.Parameter.grad));
            optimizer.Backward(model.Loss(TinyModel.Tokens(step)));
            AssertGradients(expected, adapted);
            FlatBuffersTests.AssertFlat(adapted, optimizer, values: step > 0);
            optimizer.step();
        }
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void Several_losses_add_up(AdapterConfig config)
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var adapted = Adapted(model, config);
        using var optimizer = adapted.CreateOptimizer();
        var expected = Expected(adapted, model.Loss(TinyModel.Tokens(1))).Zip(Expected(adapted, model.Loss(TinyModel.Tokens(2)))).Select(pair => pair.First!.add(pair.Second!)).ToArray();
        for (var step = 0; step < 2; step++)
        {
            optimizer.zero_grad();
            optimizer.Backward(model.Loss(TinyModel.Tokens(1)));

            // The second pass may be of either kind.
            var second = model.Loss(TinyModel.Tokens(2));
            if (step == 0) optimizer.Backward(second);
            else second.backward();
            AssertGradients(expected, adapted);
        }
    }

    [Fact]
    public void A_layer_that_is_called_twice_or_recomputed_and_a_term_of_the_loss_on_the_parameters_add_up()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var adapted = Adapted(model, new FossilConfig { ShardSize = 4 });
        using var optimizer = adapted.CreateOptimizer();
        var parameters = adapted.TrainableParameters();
        for (var step = 0; step < 3; step++)
        {
            var (first, second) = (step == 0, step == 1);
            var expected = parameters.Select(named => Reference(named.Parameter)).ToArray();
            optimizer.zero_grad();
            optimizer.Backward(Loss(recompute: true));
            Assert.All(expected.Zip(parameters), pair => Assert.True(pair.First.allclose(pair.Second.Parameter.grad!, 1e-5, 1e-7), pair.Second.Name));
            FlatBuffersTests.AssertFlat(adapted, optimizer, values: false);

            Tensor Reference(Parameter parameter) => autograd.grad([Loss(recompute: false)], [parameter], allow_unused: true)[0] is { IsInvalid: false } gradient ? gradient : zeros_like(parameter);

            Tensor Loss(bool recompute)
            {
                var hidden = model.embed.forward(TinyModel.Tokens(4));
                Tensor Segment(Tensor input) => model.layers[0].forward(model.layers[0].forward(input)) + (second ? parameters[0].Parameter.sum() : 0);
                var loss = (recompute ? ActivationCheckpoint.Run((input, _) => Segment(input), hidden) : Segment(hidden)).pow(2).mean();
                return first ? loss + parameters[^1].Parameter.pow(3).sum() + parameters[0].Parameter.pow(2).sum() : loss;
            }
        }
    }

    [Fact]
    public void A_layer_that_does_not_run_gets_zeros_and_is_left_out_of_the_step()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var adapted = Adapted(model, new FossilConfig { ShardSize = 4 });
        using var optimizer = adapted.CreateOptimizer(weightDecay: 0.5);
        for (var step = 0; step < 3; step++)
        {
            var unused = adapted.TrainableParameters().Where(named => named.Name.Contains("layers.1", StringComparison.Ordinal)).ToArray();
            var before = unused.Select(named => named.Parameter.detach().clone()).ToArray();
            optimizer.zero_grad();
            optimizer.Backward(step == 0 ? model.Loss(TinyModel.Tokens(1)) : model.layers[0].forward(model.embed.forward(TinyModel.Tokens(1))).pow(2).sum());
            FlatBuffersTests.AssertFlat(adapted, optimizer, values: step > 0);
            optimizer.step();
            Assert.Equal(step > 0, unused.Zip(before).All(pair => pair.First.Parameter.equal(pair.Second).all().item<bool>()));
            if (step > 0) Assert.All(unused, named => Assert.False(named.Parameter.grad!.ne(0).any().item<bool>()));
        }
    }

    [Fact]
    public void A_gradient_that_was_put_elsewhere_is_added_to_where_it_is()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var adapted = Adapted(model, new FossilConfig { ShardSize = 4 });
        using var optimizer = adapted.CreateOptimizer();
        var parameters = adapted.TrainableParameters();
        var expected = Expected(adapted, model.Loss(TinyModel.Tokens(1)));
        optimizer.zero_grad();
        var own = ones_like(parameters[1].Parameter);
        parameters[1].Parameter.grad = own;
        parameters[2].Parameter.grad = null;
        optimizer.Backward(model.Loss(TinyModel.Tokens(1)));
        AssertGradients([.. expected.Select((gradient, i) => i == 1 ? gradient!.add(1) : gradient)], adapted);
        Assert.True(own.equal(parameters[1].Parameter.grad!).all().item<bool>());
        optimizer.step();
        optimizer.zero_grad();
        optimizer.Backward(model.Loss(TinyModel.Tokens(2)));
        FlatBuffersTests.AssertFlat(adapted, optimizer, values: false);
    }

    [Fact]
    public void Loops_with_backward_go_on_as_before_after_it()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var adapted = Adapted(model, new FossilConfig { ShardSize = 4 });
        using var optimizer = adapted.CreateOptimizer();
        for (var step = 0; step < 6; step++)
        {
            var expected = Expected(adapted, model.Loss(TinyModel.Tokens(step)));
            optimizer.zero_grad();
            if (step < 2) optimizer.Backward(model.Loss(TinyModel.Tokens(step)));
            else model.Loss(TinyModel.Tokens(step)).backward();
            AssertGradients(expected, adapted);
            optimizer.step();
        }

        FlatBuffersTests.AssertFlat(adapted, optimizer);
    }

    [Fact]
    public void Two_models_are_gone_back_through_at_the_same_time()
    {
        var losses = Enumerable.Range(0, 2).AsParallel().Select(_ =>
        {
            using var scope = NewDisposeScope();
            using var model = new TinyModel();
            using var adapted = Adapted(model, new FossilConfig { ShardSize = 4 });
            using var optimizer = adapted.CreateOptimizer();
            var tokens = arange(0, 10, ScalarType.Int64).view(2, 5);
            for (var step = 0; step < 20; step++)
            {
                var expected = Expected(adapted, model.Loss(tokens));
                optimizer.zero_grad();
                optimizer.Backward(model.Loss(tokens));
                AssertGradients(expected, adapted);
                optimizer.step();
            }

            return true;
        }).ToArray();
        Assert.Equal(2, losses.Length);
    }

    [Fact]
    public void A_failed_pass_leaves_nothing_of_an_earlier_step_in_the_buffer()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var adapted = Adapted(model, new LoraConfig { Rank = 2 });
        using var optimizer = adapted.CreateOptimizer();
        optimizer.Backward(model.Loss(TinyModel.Tokens(1)));
        optimizer.step();
        optimizer.zero_grad();
        var hidden = model.embed.forward(TinyModel.Tokens(2)).detach();
        var loss = model.layers[0].q_proj.forward(hidden).sum() + model.layers[0].v_proj.forward(hidden.add(1)).sum();
        hidden.add_(1);
        optimizer.Backward(loss);
        Assert.Throws<AdapterBackwardException>(() => optimizer.step());
        var left = adapted.TrainableParameters().Where(named => !named.Name.Contains("layers.0.v_proj", StringComparison.Ordinal) && named.Parameter.grad!.ne(0).any().item<bool>());
        Assert.Empty(left.Select(named => named.Name));
    }

    private static AdaptedModel Adapted(TinyModel model, AdapterConfig config)
    {
        var adapted = model.AttachAdapters(config);
        TinyModel.Randomize(adapted);
        return adapted;
    }

    private static Tensor?[] Expected(AdaptedModel adapted, Tensor loss) => [.. autograd.grad([loss], [.. adapted.TrainableParameters().Select(named => (Tensor)named.Parameter)], allow_unused: true)];

    private static void AssertGradients(IReadOnlyList<Tensor?> expected, AdaptedModel adapted)
    {
        foreach (var (gradient, (name, parameter)) in expected.Zip(adapted.TrainableParameters()))
        {
            var actual = parameter.grad;
            Assert.True(actual is not null, name);
            Assert.True(gradient is not { IsInvalid: false } ? !actual.ne(0).any().item<bool>() : gradient.equal(actual).all().item<bool>(), name);
        }
    }
}
