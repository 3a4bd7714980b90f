using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Training;

public class ActivationCheckpointTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void GradientsAreThoseOfKeptActivations(bool inputRequiresGradient)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        var layers = Enumerable.Range(0, 3).Select(_ => nn.Linear(6, 6)).ToList();
        var x = randn(4, 6).requires_grad_(inputRequiresGradient);
        var gradients = new[] { false, true }.Select(recompute =>
        {
            manual_seed(2);
            var hidden = x;
            foreach (var layer in layers) hidden = recompute ? ActivationCheckpoint.Run((input, _) => Segment(layer, input), hidden) : Segment(layer, hidden);
            var draw = rand(1);
            (hidden.square().sum() * draw).backward();
            var result = layers.SelectMany(layer => layer.parameters()).Append(inputRequiresGradient ? x : layers[0].weight!).Select(tensor => tensor.grad!.clone()).ToList();
            foreach (var parameter in layers.SelectMany(layer => layer.parameters())) parameter.grad = null;
            x.grad = null;
            return result;
        }).ToList();
        Assert.All(gradients[0].Zip(gradients[1]), pair => Assert.Equal(pair.First.data<float>().ToArray(), pair.Second.data<float>().ToArray()));
    }

    [Fact]
    public void ContextOutlivesItsScope()
    {
        using var scope = NewDisposeScope();
        var layer = nn.Linear(3, 3);
        Tensor output;
        using (var inner = NewDisposeScope())
        {
            var factor = full(3, 2f);
            output = ActivationCheckpoint.Run((input, context) => layer.forward(input) * context[1]!, ones(2, 3), null, factor).MoveToOuterDisposeScope();
        }

        output.sum().backward();
        Assert.Equal([4f, 4, 4], layer.bias!.grad!.data<float>().ToArray());
    }

    [Fact]
    public void AFailureInTheBackwardPassIsReportedInsteadOfEndingTheProcess()
    {
        using var scope = NewDisposeScope();
        var layer = nn.Linear(3, 3);
        var runs = 0;
        var output = ActivationCheckpoint.Run((input, _) => runs++ == 0 ? layer.forward(input) : throw new InvalidOperationException("second run"), ones(2, 3));
        output.sum().backward();
        Assert.Contains("second run", Assert.Throws<AdapterBackwardException>(() => ActivationCheckpoint.Run((input, _) => layer.forward(input), ones(2, 3))).Message);
    }

    [Fact]
    public void WithoutGradientsItRunsOnce()
    {
        using var scope = NewDisposeScope();
        using var withoutGradient = no_grad();
        var runs = 0;
        using var output = ActivationCheckpoint.Run((input, _) => { runs++; return input + 1; }, ones(2));
        Assert.False(output.requires_grad);
        Assert.Equal(1, runs);
    }

    private static Tensor Segment(Linear layer, Tensor input)
    {
        using var scope = NewDisposeScope();
        return nn.functional.dropout(nn.functional.gelu(layer.forward(input)), 0.3, training: true).MoveToOuterDisposeScope();
    }
}
