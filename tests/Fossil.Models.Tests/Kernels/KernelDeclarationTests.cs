using Fossil.TestData;

namespace Fossil.Models.Tests.Kernels;

/// <summary>Every launch of these tests is checked for threads that write the same memory (KernelCheck.cs), which needs kernels that say what they write.</summary>
public sealed class KernelDeclarationTests
{
    [Fact]
    public void Every_kernel_declares_what_it_writes()
    {
        var (kernels, undeclared) = DeclaredWrites.Find(typeof(KernelDeclarationTests).Assembly);
        Assert.Empty(undeclared);
        foreach (var known in (string[])["AttentionForward`1", "AttentionBackward`1+SumKernel", "CrossEntropyKernel`1+Kernel", "GateKernel`1+BackwardKernel", "RmsNormKernel`1+WeightKernel", "RotaryKernel`1+ForwardKernel", "RunningSoftmaxKernel`1+Kernel", "ShardKernels64+ShardSumOfBFloat16"])
        {
            Assert.Contains(kernels, kernel => kernel.EndsWith(known, StringComparison.Ordinal));
        }
    }
}
