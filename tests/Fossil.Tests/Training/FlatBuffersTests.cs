using Fossil.CompilerServices;
using Fossil.Tests.Adapters;
using Fossil.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Training;

/// <summary>What an adapted model trains lies in one buffer each for values, gradients and moments, and nothing that is computed or written depends on it.</summary>
public sealed class FlatBuffersTests
{
    public static TheoryData<AdapterConfig> Configs() =>
    [
        new FossilConfig { ShardSize = 4 },
        new FossilConfig { ShardSize = 4, Variant = FossilVariant.Bat, Bias = AdapterBias.AdapterOnly },
        new LoraConfig { Rank = 2, UseDora = true, Bias = AdapterBias.All },
        new FossilConfig { ShardSize = 4, Bias = AdapterBias.All, ModulesToSave = ["lm_head", "norm"] },
    ];

    [Theory]
    [MemberData(nameof(Configs))]
    public void Values_gradients_and_moments_lie_one_behind_the_other(AdapterConfig config)
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(config);
        using var optimizer = adapted.CreateOptimizer();
        for (var step = 0; step < 2; step++) Step(model, optimizer);
        AssertFlat(adapted, optimizer);
    }

    [Fact]
    public void What_never_ran_lies_there_before_the_first_step_and_its_first_gradient_too()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters();
        using var optimizer = adapted.CreateOptimizer();
        AssertFlat(adapted, optimizer);
        var places = Places();
        Assert.Throws<NoGradientException>(() => optimizer.step());
        Backward(model, 1);
        optimizer.step();
        Assert.Equal(places, Places());
        Assert.All(adapted.TrainableParameters(), named => Assert.True(Any(named.Parameter)));

        nint[] Places() => [.. adapted.TrainableParameters().SelectMany(named => (nint[])[NativeTensor.Data(named.Parameter), NativeTensor.Data(named.Parameter.grad!)])];
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void The_numbers_are_those_of_parameters_of_their_own(AdapterConfig config)
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(config);
        using var mirror = new Mirror(adapted);
        for (var step = 0; step < 6; step++)
        {
            // Once without clearing, so that a second step's gradients are added to the first's; once with two backward passes.
            if (step != 3) mirror.Optimizer.zero_grad();
            for (var pass = 0; pass <= step % 2; pass++) Backward(model, step + pass);
            mirror.Step(clip: step > 1);
        }
    }

    [Fact]
    public void A_layer_that_is_called_twice_recomputed_or_run_through_again_adds_its_gradients_up()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted);
        using var optimizer = adapted.CreateOptimizer();
        Step(model, optimizer);
        optimizer.zero_grad();
        var parameters = adapted.TrainableParameters();
        var expected = Gradients(parameters, () => Twice(model));
        using var loss = Twice(model);
        loss.backward(retain_graph: true);
        AssertGradients(expected, parameters);
        loss.backward();
        AssertGradients([.. expected.Select(gradient => gradient.mul(2))], parameters);
        AssertFlat(adapted, optimizer);

        optimizer.zero_grad();
        using var tokens = TinyModel.Tokens();
        using var hidden = model.embed.forward(tokens);
        using var recomputed = ActivationCheckpoint.Run((input, _) => model.layers[0].forward(model.layers[0].forward(input)), hidden.detach());
        using var again = recomputed.pow(2).sum();
        again.backward();
        AssertFlat(adapted, optimizer, withGradients: true);
        Assert.All(parameters.Where(named => named.Name.Contains("layers.0", StringComparison.Ordinal)), named => Assert.True(Any(named.Parameter.grad!)));

        Tensor Twice(TinyModel m)
        {
            using var scope = NewDisposeScope();
            using var input = TinyModel.Tokens(3);
            return (m.Loss(input) + m.layers[0].forward(m.embed.forward(input)).pow(2).mean()).MoveToOuterDisposeScope();
        }
    }

    [Fact]
    public void Asking_autograd_for_gradients_leaves_those_of_the_optimizer_alone()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters();
        using var optimizer = adapted.CreateOptimizer();
        Step(model, optimizer);
        optimizer.zero_grad();
        var parameters = adapted.TrainableParameters();
        var first = Gradients(parameters, () => model.Loss(TinyModel.Tokens(1)));
        var kept = first.Select(gradient => gradient.clone()).ToArray();
        _ = Gradients(parameters, () => model.Loss(TinyModel.Tokens(2)));
        Assert.All(first.Zip(kept), pair => Assert.True(pair.First.equal(pair.Second).all().item<bool>()));
        Assert.Throws<NoGradientException>(() => optimizer.step());
    }

    [Fact]
    public void A_parameter_without_a_gradient_stays_as_it_is_and_one_with_zeros_takes_the_step()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 2 });
        using var optimizer = adapted.CreateOptimizer(weightDecay: 0.5);
        for (var step = 0; step < 3; step++)
        {
            optimizer.zero_grad();
            // In the first step B is zero, and the gradient of A with it.
            using var tokens = TinyModel.Tokens(step);
            using var hidden = model.embed.forward(tokens);
            using var loss = model.layers[0].forward(hidden).pow(2).sum();
            loss.backward();
            var before = Values(adapted);
            optimizer.step();
            var unused = adapted.TrainableParameters().Index().Where(entry => entry.Item.Name.Contains("layers.1", StringComparison.Ordinal)).ToArray();
            Assert.NotEmpty(unused);
            Assert.All(unused, entry => Assert.Equal(before[entry.Index], Values(entry.Item.Parameter)));
        }

        var steps = optimizer.GetState().Where(entry => entry.Name.EndsWith(".step", StringComparison.Ordinal)).ToArray();
        Assert.All(steps, entry => Assert.Equal(entry.Name.Contains("layers.0", StringComparison.Ordinal) ? 3 : 0, entry.Tensor.item<long>()));
    }

    [Fact]
    public void Gradients_set_to_none_or_put_elsewhere_are_taken_where_they_are()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, Bias = AdapterBias.All });
        using var mirror = new Mirror(adapted);
        var parameters = adapted.TrainableParameters();
        for (var step = 0; step < 5; step++)
        {
            if (step != 2) mirror.Optimizer.zero_grad();
            if (step is 1 or 2) parameters[step].Parameter.grad = null;
            Backward(model, step);
            if (step == 3)
            {
                using var own = parameters[4].Parameter.grad!.mul(3);
                parameters[4].Parameter.grad = own;
            }

            if (step == 4) parameters[0].Parameter.grad = null;
            mirror.Step(clip: true);
        }
    }

    [Theory]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.Float32)]
    public void After_to_a_new_optimizer_has_buffers_of_its_own_and_the_old_one_says_so(ScalarType dtype)
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, ModulesToSave = ["lm_head"] });
        using var old = adapted.CreateOptimizer();
        Step(model, old);
        old.zero_grad();
        var trained = Values(adapted);
#pragma warning disable FOSSIL030 // What the rule warns of is tested here.
        model.to(ScalarType.Float64);
        model.to(dtype);
#pragma warning restore FOSSIL030
        Assert.Equal(trained.SelectMany(values => values), Values(adapted).SelectMany(values => values));
        Assert.Throws<NoGradientException>(() => old.step());
        using var optimizer = adapted.CreateOptimizer();
        Assert.Throws<NoGradientException>(() => optimizer.step());
        for (var step = 0; step < 2; step++) Step(model, optimizer);
        AssertFlat(adapted, optimizer);
    }

    [Fact]
    public void Adapters_come_go_and_change_while_others_are_trained()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4 }, "first");
        adapted.AddAdapter("second", new LoraConfig { Rank = 2 });
        adapted.SetAdapter("first", "second");
        using var both = adapted.CreateOptimizer();
        for (var step = 0; step < 2; step++) Step(model, both);
        AssertFlat(adapted, both);

        adapted.AddAdapter("third", new FossilConfig { ShardSize = 8 });
        adapted.DeleteAdapter("first");
        var before = Values(adapted);
        Step(model, both);
        Assert.All(before.Zip(Values(adapted)), pair => Assert.NotEqual(pair.First, pair.Second));

        adapted.SetAdapter("third", "second");
        before = Values(adapted);
        using var others = adapted.CreateOptimizer();
        Assert.Equal(before, Values(adapted));
        for (var step = 0; step < 2; step++) Step(model, others);
        AssertFlat(adapted, others);
    }

    [Fact]
    public void A_frozen_adapter_is_left_out_and_comes_back()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4 }, "first");
        adapted.AddAdapter("second", new FossilConfig { ShardSize = 8 });
        adapted.SetAdapter("first", "second");
        using var mirror = new Mirror(adapted);
        for (var step = 0; step < 4; step++)
        {
            if (step == 1) adapted.Freeze("first");
            if (step == 3) adapted.Unfreeze("first");
            mirror.Optimizer.zero_grad();
            Backward(model, step);
            mirror.Step(clip: false);
        }
    }

    [Theory]
    [MemberData(nameof(TiedModel.Ties), MemberType = typeof(TiedModel))]
    public void Parameters_that_share_their_memory_go_on_sharing_it(string tie)
    {
        using var model = new TiedModel(tie);
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 2, TargetModules = ["up"], ModulesToSave = ["head", "embed"], EnsureWeightTying = true });
        Assert.True(model.IsTied);
        using var optimizer = adapted.CreateOptimizer();
        for (var step = 0; step < 3; step++)
        {
            using var tokens = randint(0, TiedModel.Vocabulary, [2, 3]);
            optimizer.zero_grad();
            using var loss = model.forward(tokens).pow(2).mean();
            loss.backward();
            optimizer.step();
            Assert.True(model.IsTied);
        }
    }

    [Fact]
    public void What_was_computed_before_the_optimizer_was_made_can_still_be_gone_back_through()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters();
        using var loss = model.Loss(TinyModel.Tokens());
        using var optimizer = adapted.CreateOptimizer();
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
    }

    [Fact]
    public void Two_optimizers_of_the_same_parameters_take_turns()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters();
        using var first = new Mirror(adapted);
        using var second = adapted.CreateOptimizer();
        for (var step = 0; step < 4; step++)
        {
            Step(model, second);
            first.TakeValues();
            first.Optimizer.zero_grad();
            Backward(model, step);
            first.Step(clip: false);
        }
    }

    [Fact]
    public void A_disposed_optimizer_leaves_no_gradients_of_zeros_behind()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters();
        using (var optimizer = adapted.CreateOptimizer())
        {
            Step(model, optimizer);
            optimizer.zero_grad();
        }

        Assert.All(adapted.TrainableParameters(), named => Assert.Null(named.Parameter.grad));
        using var torchs = optim.SGD(adapted.TrainableParameters().Select(named => named.Parameter), 0.1);
        Backward(model, 1);
        torchs.step();
    }

    private static void Step(TinyModel model, FusedAdamW optimizer)
    {
        optimizer.zero_grad();
        Backward(model, 1);
        optimizer.step();
    }

    private static void Backward(TinyModel model, int seed)
    {
        using var tokens = TinyModel.Tokens(seed);
        using var loss = model.Loss(tokens);
        loss.backward();
    }

    private static IReadOnlyList<Tensor> Gradients(IReadOnlyList<(string Name, Parameter Parameter)> parameters, Func<Tensor> loss)
    {
        using var value = loss();
        return [.. autograd.grad([value], [.. parameters.Select(named => (Tensor)named.Parameter)])];
    }

    private static void AssertGradients(IReadOnlyList<Tensor> expected, IReadOnlyList<(string Name, Parameter Parameter)> parameters) =>
        Assert.All(expected.Zip(parameters), pair => Assert.True(pair.First.allclose(pair.Second.Parameter.grad!), pair.Second.Name));

    internal static void AssertFlat(AdaptedModel adapted, FusedAdamW optimizer, bool withGradients = true, bool values = true)
    {
        var parameters = adapted.TrainableParameters();
        Assert.True(parameters.Count > 1);
        if (values) AssertOneBehindTheOther([.. parameters.Select(named => (Tensor)named.Parameter)]);
        if (withGradients) AssertOneBehindTheOther([.. parameters.Select(named => named.Parameter.grad!)]);
        var state = optimizer.GetState().ToDictionary(entry => entry.Name, entry => entry.Tensor);
        AssertOneBehindTheOther([.. parameters.Select(named => state[$"{named.Name}.exp_avg"])]);
        AssertOneBehindTheOther([.. parameters.Select(named => state[$"{named.Name}.exp_avg_sq"])]);
    }

    private static void AssertOneBehindTheOther(IReadOnlyList<Tensor> tensors)
    {
        for (var i = 1; i < tensors.Count; i++)
        {
            var gap = NativeTensor.Data(tensors[i]) - (NativeTensor.Data(tensors[i - 1]) + (nint)(tensors[i - 1].numel() * tensors[i - 1].ElementSize));
            Assert.InRange(gap, 0, 63);
        }
    }

    private static bool Any(Tensor tensor) => tensor.ne(0).any().item<bool>();

    private static List<double[]> Values(AdaptedModel adapted) => [.. adapted.TrainableParameters().Select(named => Values(named.Parameter))];

    private static double[] Values(Tensor tensor) => tensor.detach().to(ScalarType.Float64).data<double>().ToArray();

    /// <summary>An optimizer of an adapted model beside one that has the same parameters as copies of their own, which no model owns.</summary>
    private sealed class Mirror : IDisposable
    {
        private readonly IReadOnlyList<(string Name, Parameter Parameter)> parameters;
        private readonly List<(string Name, Parameter Parameter)> copies = [];
        private readonly FusedAdamW reference;

        public Mirror(AdaptedModel adapted)
        {
            parameters = adapted.TrainableParameters();
            foreach (var (name, parameter) in parameters) copies.Add((name, new Parameter(parameter.detach().clone())));
            (Optimizer, reference) = (new FusedAdamW(parameters, 0.01, weightDecay: 0.1), new FusedAdamW(copies, 0.01, weightDecay: 0.1));
        }

        public FusedAdamW Optimizer { get; }

        public void TakeValues()
        {
            using var withoutGradient = no_grad();
            foreach (var ((_, parameter), (_, copy)) in parameters.Zip(copies)) copy.copy_(parameter);
        }

        /// <summary>Takes the step both ways; values and moments must be the same bits.</summary>
        public void Step(bool clip)
        {
            using var scope = NewDisposeScope();
            foreach (var ((_, parameter), (_, copy)) in parameters.Zip(copies)) copy.grad = parameter.grad is { } gradient && FlatBuffers.HasGradient(gradient) ? gradient.clone() : null;
            if (clip)
            {
                Assert.Equal(
                    GradientClipping.ClipGradNorm(copies.Select(named => named.Parameter), 0.05),
                    GradientClipping.ClipGradNorm(parameters.Select(named => named.Parameter), 0.05, Optimizer));
            }

            Optimizer.step();
            reference.step();
            foreach (var ((name, parameter), (_, copy)) in parameters.Zip(copies)) Assert.True(Values(parameter).AsSpan().SequenceEqual(Values(copy)), name);
            foreach (var ((name, actual), (_, expected)) in Optimizer.GetState().Zip(reference.GetState())) Assert.True(actual.equal(expected).all().item<bool>(), name);
        }

        public void Dispose()
        {
            Optimizer.Dispose();
            reference.Dispose();
            foreach (var (_, copy) in copies) copy.Dispose();
        }
    }
}
