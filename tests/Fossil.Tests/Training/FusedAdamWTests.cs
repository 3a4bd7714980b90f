using Fossil.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Training;

public class FusedAdamWTests
{
    [Theory]
    [InlineData(0.0, 0.9, 0.999)]
    [InlineData(0.1, 0.9, 0.999)]
    [InlineData(0.01, 0.8, 0.95)]
    public void GivesTheNumbersOfTorchsAdamW(double weightDecay, double beta1, double beta2)
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        // The last one is updated in blocks by several threads, and the last block is not full.
        long[][] shapes = [[7], [64, 33], [1], [128, 17], [3, 16411]];
        var ours = shapes.Select(shape => new Parameter(randn(shape))).ToList();
        var theirs = ours.Select(parameter => new Parameter(parameter.detach().clone())).ToList();
        using var fused = new FusedAdamW(ours.Select((parameter, i) => ($"p{i}", parameter)), 2e-3, beta1, beta2, 1e-8, weightDecay);
        using var torchs = optim.AdamW(theirs, 2e-3, beta1, beta2, 1e-8, weightDecay);
        for (var step = 0; step < 25; step++)
        {
            for (var i = 0; i < shapes.Length; i++)
            {
                // Some elements have no gradient at all, some a very small one.
                var gradient = randn(shapes[i]) * Math.Pow(10, -step % 7) * (rand(shapes[i]) > 0.2);
                ours[i].grad = gradient;
                theirs[i].grad = gradient.clone();
            }

            fused.step();
            torchs.step();
            for (var i = 0; i < shapes.Length; i++) Assert.True((ours[i] - theirs[i]).abs().max().ToSingle() <= 2.4e-7, $"step {step}, parameter {i}");
        }
    }

    [Fact]
    public void AStepCollectsTheGarbageOfEarlierOnes()
    {
        using var parameter = new Parameter(ones(1));
        using var optimizer = new FusedAdamW([("p", parameter)]);
        using (var gradient = ones(1)) parameter.grad = gradient;
        var graph = Garbage();
        optimizer.step();
        Assert.False(graph.IsAlive);

        // Another object's frame, so that no local of the test keeps it alive.
        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static WeakReference Garbage() => new(new object());
    }

    [Fact]
    public void ParametersOfOtherDtypesTakeTorchsOperations()
    {
        using var scope = NewDisposeScope();
        var ours = new Parameter(arange(1, 9, ScalarType.Float64));
        var theirs = new Parameter(ours.detach().clone());
        using var fused = new FusedAdamW([("p", ours)], 0.1, weightDecay: 0.1);
        using var torchs = optim.AdamW([theirs], 0.1, weight_decay: 0.1);
        for (var step = 0; step < 5; step++)
        {
            ours.grad = ours.detach() * 0.3;
            theirs.grad = theirs.detach() * 0.3;
            fused.step();
            torchs.step();
        }

        Assert.True(ours.allclose(theirs, 0, 1e-15));
    }

    [Fact]
    public void StateTakenOverContinuesBitForBit()
    {
        using var scope = NewDisposeScope();
        manual_seed(4);
        var first = new Parameter(randn(50));
        using var optimizer = new FusedAdamW([("p", first)], 0.01);
        first.grad = randn(50);
        optimizer.step();
        var second = new Parameter(first.detach().clone());
        using var restored = new FusedAdamW([("p", second)], 0.01);
        var state = optimizer.GetState().ToDictionary(entry => entry.Name, entry => entry.Tensor.clone());
        restored.SetState(name => state[name]);
        var gradient = randn(50);
        (first.grad, second.grad) = (gradient, gradient);
        optimizer.step();
        restored.step();
        Assert.Equal(first.data<float>().ToArray(), second.data<float>().ToArray());
    }

    [Fact]
    public void StateOutlivesTheScopeItWasMadeIn()
    {
        using var parameter = new Parameter(ones(5));
        FusedAdamW optimizer;
        using (NewDisposeScope()) optimizer = new FusedAdamW([("p", parameter)]);
        using (optimizer)
        using (NewDisposeScope())
        {
            parameter.grad = ones(5);
            optimizer.step();
        }

        Assert.True(parameter.data<float>().All(value => value < 1));
    }

    [Fact]
    public void TorchsSchedulersSetTheRate()
    {
        using var scope = NewDisposeScope();
        using var optimizer = new FusedAdamW([("p", new Parameter(ones(2)))], 0.5);
        var scheduler = optim.lr_scheduler.StepLR(optimizer, 1, 0.1);
        scheduler.step();
        Assert.Equal(0.05, optimizer.LearningRate, 12);
    }

    [Fact]
    public void AStepWithoutAnyGradientIsAnError()
    {
        using var parameter = new Parameter(ones(5));
        using var optimizer = new FusedAdamW([("p", parameter)]);
        Assert.Contains("to()", Assert.Throws<NoGradientException>(() => optimizer.step()).Message);
    }

    [Fact]
    public void MomentsOnAnotherDeviceThanTheParameterAreAnError()
    {
        using var scope = NewDisposeScope();
        var parameters = new[] { new Parameter(ones(5)), new Parameter(ones(7)) };
        using var optimizer = new FusedAdamW([("first", parameters[0]), ("second", parameters[1])]);
        optimizer.to(META);
        foreach (var parameter in parameters) parameter.grad = ones(parameter.shape);
        Assert.Contains("'first' are on meta", Assert.Throws<OptimizerStateException>(() => optimizer.step()).Message);
        Assert.All(parameters, parameter => Assert.True(parameter.eq(1).all().item<bool>()));
    }

    [Fact]
    public void ZeroGradDropsTheGradients()
    {
        using var parameter = new Parameter(ones(5));
        using var optimizer = new FusedAdamW([("p", parameter)]);
        parameter.grad = ones(5);
        optimizer.zero_grad();
        Assert.Null(parameter.grad);
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(1e6)]
    public void ClippingIsTorchs(double maxNorm)
    {
        using var scope = NewDisposeScope();
        manual_seed(5);
        var ours = new List<Parameter> { new(zeros(37, 5)), new(zeros(1)), new(zeros(3)) };
        var theirs = new List<Parameter> { new(zeros(37, 5)), new(zeros(1)) };
        for (var i = 0; i < theirs.Count; i++)
        {
            ours[i].grad = randn(ours[i].shape);
            theirs[i].grad = ours[i].grad!.clone();
        }

        var norm = GradientClipping.ClipGradNorm(ours, maxNorm);
        Assert.Equal(nn.utils.clip_grad_norm_(theirs, maxNorm), norm, 5);
        for (var i = 0; i < theirs.Count; i++) Assert.True(ours[i].grad!.allclose(theirs[i].grad!, 1e-6, 1e-7));
    }
}
