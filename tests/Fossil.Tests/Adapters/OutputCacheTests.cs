using Fossil.Autograd;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Fossil.Tests.Adapters;

public class OutputCacheTests
{
    [Fact]
    public void TheTensorThatTorchSharpKeepsForEachOutputIsReleased()
    {
        using var scope = NewDisposeScope();
        var x = ones(3, requires_grad: true);
        var y = Doubling.Of(x, out var context);
        var cache = OutputCache.Of(context);
        Assert.NotNull(cache);
        var kept = Assert.Single(cache);
        OutputCache.Drop(context);
        Assert.Empty(cache);
        Assert.True(kept.IsInvalid);

        y.sum().backward();
        Assert.Equal([2f, 2f, 2f], x.grad!.data<float>());
    }

    private sealed class Doubling : SingleTensorFunction<Doubling>
    {
        public override string Name => nameof(Doubling);

        public static Tensor Of(Tensor x, out AutogradContext context)
        {
            var seen = new AutogradContext[1];
            var y = apply(x, seen);
            context = seen[0];
            return y;
        }

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            ((AutogradContext[])vars[1])[0] = ctx;
            ctx.set_materialize_grads(false);
            return (Tensor)vars[0] * 2;
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => [grad_output * 2, null!];
    }
}
