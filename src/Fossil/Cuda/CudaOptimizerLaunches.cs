using Fossil.Kernels;

namespace Fossil.Cuda;

/// <summary>The launch stubs of the optimizer's kernels, over buffers without gaps.</summary>
internal static class CudaOptimizerLaunches
{
    private const int Threads = 256, ValuesOfThread = 4, BlocksOfMultiprocessor = 4;

    private static readonly Lazy<string> Text = new(() => $"constexpr int Threads = {Threads}, ValuesOfThread = {ValuesOfThread};\n\n{CudaText.Read("device.cu")}{CudaText.Read("optimizer.cu")}");

    /// <summary>The source of the kernels.</summary>
    public static string Source => Text.Value;

    /// <summary>Blocks that a buffer is shared out to.</summary>
    public static int Blocks(long count, int multiprocessors) => (int)Math.Clamp((count + (Threads * ValuesOfThread) - 1) / (Threads * ValuesOfThread), 1, multiprocessors * BlocksOfMultiprocessor);

    /// <summary>An update of a buffer and both its moments, all float32.</summary>
    public static CudaLaunch AdamW(nint parameter, nint gradient, nint firstMoment, nint secondMoment, long count, int blocks, in AdamWCoefficients c) => new(
        "adamw", ((uint)blocks, 1), (Threads, 1), parameter, gradient, firstMoment, secondMoment, count,
        (float)c.Decay, (float)c.Beta1, (float)c.Beta2, (float)(1 - c.Beta1), (float)(1 - c.Beta2), (float)c.SecondMomentRoot, (float)c.Epsilon, (float)-c.StepSize);

    /// <summary>The sum of the squares of a float32 buffer.</summary>
    /// <param name="values">The buffer.</param>
    /// <param name="count">Its elements.</param>
    /// <param name="blocks">Of <see cref="Blocks"/>.</param>
    /// <param name="norm">One float64; written.</param>
    /// <param name="parts">Scratch, a float64 for each block.</param>
    /// <param name="counter">A zero; zero again behind the launch.</param>
    public static CudaLaunch SquaredNorm(nint values, long count, int blocks, nint norm, nint parts, nint counter) => new("squared_norm", ((uint)blocks, 1), (Threads, 1), values, count, norm, parts, counter);
}
