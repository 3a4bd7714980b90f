using System.Runtime.CompilerServices;
using Fossil.CompilerServices;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Kernels;

/// <summary>The check that every launch of a test goes through: kernels with faults of several kinds are told by it.</summary>
public sealed class KernelCheckTests
{
    [Fact]
    public void Launches_are_checked_in_this_process() => Assert.True(KernelCheck.IsOn);

    [Fact]
    public void Every_kernel_declares_what_it_writes()
    {
        var (kernels, undeclared) = DeclaredWrites.Find(typeof(KernelCheckTests).Assembly);
        Assert.Empty(undeclared);
        foreach (var known in (string[])["ShardProducts+ShardGradientKernel", "OneRowProduct+Kernel", "RoundedAdd+Kernel", "AdamWKernel+Blocks", "ShardKernels6+ShardSumOfFloat32", "ShardKernels6+AddTiledToBFloat16"])
        {
            Assert.Contains(kernels, kernel => kernel.EndsWith(known, StringComparison.Ordinal));
        }
    }

    [Theory]
    [InlineData(4)]
    [InlineData(4000)] // too large to be watched row by row
    public void Rows_that_write_the_same_memory_are_told(int rows)
    {
        var fault = Assert.Throws<InvalidOperationException>(() => Fill(rows, written: 9, declared: 9));
        Assert.Contains("writes 4 bytes both for row 0 and for row 1", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_row_that_writes_more_than_it_declares_is_told()
    {
        var fault = Assert.Throws<InvalidOperationException>(() => Fill(rows: 4, written: 9, declared: 8));
        Assert.Contains("gives row 1 other values with other rows than alone", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_that_declares_nothing_is_told()
    {
        Assert.Contains("declares no memory", Assert.Throws<InvalidOperationException>(() => Fill(rows: 4, written: 8, declared: 0)).Message, StringComparison.Ordinal);
        Assert.Throws<NotSupportedException>(() => KernelRows.Run(4, 8, new WithoutDeclaration()));
    }

    [Fact]
    public void A_row_that_comes_out_otherwise_with_other_rows_is_told()
    {
        using var memory = zeros(4, 8);
        Assert.True(KernelMatrix.TryOpen(memory, out var matrix));
        var fault = Assert.Throws<InvalidOperationException>(() => KernelRows.Run(4, 8, new FirstOfRun(matrix)));
        Assert.Contains("gives row 1 other values with other rows than alone", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_without_fault_runs_once_on_what_was_there()
    {
        using var memory = ones(4, 8);
        Assert.True(KernelMatrix.TryOpen(memory, out var matrix));
        KernelRows.Run(4, 8, new AddRange(matrix, 8, 8));
        using var expected = full([4, 8], 2f);
        Assert.True(memory.Equals(expected));
    }

    private static void Fill(long rows, int written, int declared)
    {
        using var memory = zeros(rows + 1, 8);
        Assert.True(KernelMatrix.TryOpen(memory, out var matrix));
        KernelRows.Run(rows, 8, new AddRange(matrix, written, declared));
    }

    /// <summary>Adds 1 to the first elements from the start of its row on.</summary>
    private readonly struct AddRange(KernelMatrix matrix, int written, int declared) : IRowKernel
    {
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++)
            {
                for (var i = 0; i < written; i++) Unsafe.Add(ref matrix.Row<float>(row), i) += 1;
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(matrix, row, 0, declared);
    }

    private readonly struct FirstOfRun(KernelMatrix matrix) : IRowKernel
    {
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++) matrix.Row<float>(row) = first;
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(matrix, row);
    }

    /// <summary>As kernels were before they declared what they write.</summary>
    private readonly struct WithoutDeclaration : IRowKernel
    {
        public void Run(long first, long end)
        {
        }
    }
}
