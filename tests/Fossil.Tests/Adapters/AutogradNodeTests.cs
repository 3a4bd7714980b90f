using Fossil.Autograd;
using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

public class AutogradNodeTests
{
    [Fact]
    public void OutputsThatAreNotUsedGetNoGradient()
    {
        using var scope = NewDisposeScope();
        var x = tensor([1f, 2f, 3f], requires_grad: true);
        var outputs = AdapterFunction.RunAll(new PowersCall(x, 3));
        Assert.Equal([1f, 8f, 27f], outputs[2].data<float>());
        outputs[1].sum().backward();
        Assert.Equal([2f, 4f, 6f], x.grad!.data<float>());
    }

    [Fact]
    public void SeveralOutputsAreOneStepBack()
    {
        using var scope = NewDisposeScope();
        var x = tensor([1f, 2f, 3f], requires_grad: true);
        var call = new PowersCall(x, 3);
        var outputs = AdapterFunction.RunAll(call);
        (outputs[0] + outputs[1] + outputs[2]).sum().backward();
        Assert.Equal([1 + 2f + 3, 1 + 4f + 12, 1 + 6f + 27], x.grad!.data<float>());
        Assert.Equal(1, call.BackwardPasses);
    }

    [Fact]
    public void AGraphThatIsKeptGoesBackTwice()
    {
        using var scope = NewDisposeScope();
        var x = tensor([1f, 2f, 3f], requires_grad: true);
        var sum = AdapterFunction.RunAll(new PowersCall(x, 2))[1].sum();
        autograd.backward(sum, retain_graph: true);
        autograd.backward(sum);
        Assert.Equal([4f, 8f, 12f], x.grad!.data<float>());
    }

    [Fact]
    public void ANodeThatDiedLeavesNothingToALaterOne()
    {
        using var scope = NewDisposeScope();
        for (var i = 0; i < 100; i++)
        {
            using var inner = NewDisposeScope();
            var x = full([2], i, dtype: float32, requires_grad: true);
            var outputs = AdapterFunction.RunAll(new PowersCall(x, 1 + (i % 3)));
            // Some nodes die without a backward pass.
            if (i % 4 == 0) continue;
            outputs[^1].sum().backward();
            var power = 1 + (i % 3);
            Assert.Equal([.. Enumerable.Repeat((float)(power * Math.Pow(i, power - 1)), 2)], x.grad!.data<float>());
        }
    }

    [Fact]
    public void ANodeOutlivesACollectionOfGarbage()
    {
        using var scope = NewDisposeScope();
        var x = tensor([1f, 2f, 3f], requires_grad: true);
        // More than died before, so that some of the nodes are new.
        var sums = Enumerable.Range(0, 300).Select(_ => AdapterFunction.RunAll(new PowersCall(x, 2))[1].sum()).ToArray();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        foreach (var sum in sums) sum.backward();
        Assert.Equal([600f, 1200f, 1800f], x.grad!.data<float>());
    }

    [Fact]
    public void WhatWasModifiedSinceIsNoticed()
    {
        using var scope = NewDisposeScope();
        var x = tensor([1f, 2f, 3f], requires_grad: true);
        var sum = AdapterFunction.RunAll(new PowersCall(x, 2))[1].sum();
        using (no_grad()) x.add_(Scalars.One);
        sum.backward();
        var next = Assert.Throws<AdapterBackwardException>(() => AdapterFunction.RunAll(new PowersCall(x, 2)));
        Assert.Contains("modified", next.Message, StringComparison.Ordinal);
    }

    /// <summary>x, x², x³, ….</summary>
    private sealed class PowersCall : AdapterCall
    {
        private readonly CallInput x;
        private readonly int count;

        public PowersCall(Tensor x, int count) => (this.x, this.count) = (Input(x), count);

        public int BackwardPasses { get; private set; }

        public override Tensor Forward() => throw new NotSupportedException();

        public override Tensor[] ForwardAll()
        {
            Save(x);
            return [.. Enumerable.Range(1, count).Select(power => x.Value.pow(Scalars.Of((double)power)))];
        }

        public override void Backward(Tensor gradOutput) => throw new NotSupportedException();

        public override void BackwardAll(IReadOnlyList<Tensor?> gradOutputs)
        {
            BackwardPasses++;
            for (var i = 0; i < gradOutputs.Count; i++) x.AddGradient(gradOutputs[i]?.mul(x.Value.pow(Scalars.Of((double)i))).mul(Scalars.Of(i + 1.0)));
        }
    }
}
