using Fossil.CompilerServices;
using Fossil.Distributed;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>The kernels that sum gradients over ranks, emulated with every access checked, beside the host's sums.</summary>
public sealed unsafe class RankKernelTests
{
    private const int Ranks = 3;

    /// <summary>More elements than the threads of the grid take at once; numbers that are none, zeros of both signs, and numbers so small that rounding up makes them larger than all.</summary>
    [SkippableTheory]
    [InlineData(1)]
    [InlineData(2500)]
    public void TheyHaveTheHostsBits(int length)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        var rows = randn([Ranks, length], generator: generator);
        float[] odd = [float.NaN, float.PositiveInfinity, -0f, 1e-42f, float.MaxValue, 0f];
        for (var i = 0; i < Math.Min(odd.Length, length); i++) rows[0, i] = tensor(odd[i]);
        if (length > odd.Length) rows[1..3, 2] = tensor(-0f);
        var emulation = Emulation.Of(CudaRankLaunches.Source);
        var blocks = CudaRankLaunches.Blocks(length, 1);
        long bytes = length * 4L;

        Tensor sum = zeros(length), hostSum = zeros(length), doubles = rows.to(float64), doubleSum = zeros(length, dtype: float64), hostDoubleSum = zeros(length, dtype: float64);
        Assert.Null(emulation.Run(CudaRankLaunches.Sum(At(rows), length, Ranks, false, At(sum), blocks), (At(rows), bytes * Ranks), (At(sum), bytes)));
        RankSum.Sum((float*)At(rows), length, Ranks, (float*)At(hostSum));
        Assert.Equal(Bits(hostSum), Bits(sum));
        Assert.Null(emulation.Run(CudaRankLaunches.Sum(At(doubles), length, Ranks, true, At(doubleSum), blocks), (At(doubles), bytes * 2 * Ranks), (At(doubleSum), bytes * 2)));
        RankSum.Sum((double*)At(doubles), length, Ranks, (double*)At(hostDoubleSum));
        Assert.Equal(Bits(hostDoubleSum), Bits(doubleSum));

        Tensor lost = randn(length, generator: generator).mul_(1e-3), hostLost = lost.clone(), narrow = zeros(Ranks, length, dtype: int16), hostNarrow = zeros(Ranks, length, dtype: int16), row = rows[0].clone();
        Assert.Null(emulation.Run(CudaRankLaunches.Narrow(At(row), length, At(lost), At(narrow), blocks), (At(row), bytes), (At(lost), bytes), (At(narrow), bytes / 2)));
        RankSum.Narrow(new((float*)At(row), length), new((float*)At(hostLost), length), new((ushort*)At(hostNarrow), length));
        Assert.Equal(Bits(hostNarrow), Bits(narrow));
        Assert.Equal(Bits(hostLost), Bits(lost));

        foreach (var other in new[] { narrow, hostNarrow })
        {
            using var zero = zeros(length);
            for (var rank = 1; rank < Ranks; rank++) RankSum.Narrow(new((float*)At(rows) + (rank * length), length), new((float*)At(zero), length), new((ushort*)At(other) + (rank * length), length));
        }

        Tensor narrowSum = zeros(length, dtype: int16), hostNarrowSum = zeros(length, dtype: int16), wide = zeros(length), hostWide = zeros(length);
        Assert.Null(emulation.Run(CudaRankLaunches.SumNarrow(At(narrow), length, Ranks, At(lost), At(narrowSum), blocks), (At(narrow), bytes / 2 * Ranks), (At(lost), bytes), (At(narrowSum), bytes / 2)));
        RankSum.Sum(new((ushort*)At(hostNarrow), length * Ranks), Ranks, new((float*)At(hostLost), length), new((ushort*)At(hostNarrowSum), length));
        Assert.Equal(Bits(hostNarrowSum), Bits(narrowSum));
        Assert.Equal(Bits(hostLost), Bits(lost));

        Assert.Null(emulation.Run(CudaRankLaunches.Widen(At(narrowSum), length, At(wide), blocks), (At(narrowSum), bytes / 2), (At(wide), bytes)));
        RankSum.Widen(new((ushort*)At(hostNarrowSum), length), new((float*)At(hostWide), length));
        Assert.Equal(Bits(hostWide), Bits(wide));

        Assert.Null(emulation.Run(CudaRankLaunches.GiveBack(At(lost), length, At(wide), blocks), (At(lost), bytes), (At(wide), bytes)));
        RankSum.GiveBack(new((float*)At(hostLost), length), new((float*)At(hostWide), length));
        Assert.Equal(Bits(hostWide), Bits(wide));
        Assert.Equal(Bits(zeros(length)), Bits(lost));
    }

    [SkippableFact]
    public void ArgumentsAreThoseOfTheKernelsParameters()
    {
        var nvrtc = Tools.RequireNvrtc();
        foreach (var architecture in Architecture.All)
        {
            var binary = nvrtc.Compile(CudaRankLaunches.Source, "ranks", architecture.Number, "--ptxas-options=-v");
            foreach (var kernel in CompiledKernel.Of(binary.Log)) CompilerTests.AssertFits(CudaRankLaunches.Source, kernel);
            CudaLaunch[] launches =
            [
                CudaRankLaunches.Sum(1, 2, 3, false, 4, 5), CudaRankLaunches.Sum(1, 2, 3, true, 4, 5), CudaRankLaunches.SumNarrow(1, 2, 3, 4, 5, 6), CudaRankLaunches.Narrow(1, 2, 3, 4, 5), CudaRankLaunches.Widen(1, 2, 3, 4),
                CudaRankLaunches.GiveBack(1, 2, 3, 4),
            ];
            Assert.Equal(KernelSource.KernelsOf(CudaRankLaunches.Source).Order(), launches.Select(launch => launch.Kernel).Order());
            foreach (var launch in launches) Assert.Equal(LaunchTests.ParametersOf(binary.Ptx, launch.Kernel), launch.Arguments.Select(argument => argument.Size));
        }
    }

    private static nint At(Tensor tensor) => NativeTensor.Data(tensor);

    private static string Bits(Tensor tensor) => Convert.ToHexString(tensor.bytes);
}
