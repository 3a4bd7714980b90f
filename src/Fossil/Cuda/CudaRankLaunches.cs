using Fossil.CompilerServices;

namespace Fossil.Cuda;

/// <summary>The launch stubs of the kernels that sum gradients over ranks.</summary>
internal static class CudaRankLaunches
{
    private const int Threads = 256, BlocksOfMultiprocessor = 4;

    private static readonly Lazy<string> Text = new(() => $"constexpr int Threads = {Threads};\n\n{CudaText.Read("device.cu")}{CudaText.Read("ranks.cu")}");

    /// <summary>The source of the kernels.</summary>
    public static string Source => Text.Value;

    /// <summary>Blocks that elements are shared out to.</summary>
    public static int Blocks(long count, int multiprocessors) => (int)Math.Clamp((count + Threads - 1) / Threads, 1, multiprocessors * BlocksOfMultiprocessor);

    /// <summary>The sum of rows, float32 or float64.</summary>
    public static CudaLaunch Sum(nint rows, int length, int ranks, bool isDouble, nint sum, int blocks) => New(isDouble ? "sum_ranks_double" : "sum_ranks_float", blocks, rows, length, ranks, sum);

    /// <summary>The sum of rows of bfloat16.</summary>
    public static CudaLaunch SumNarrow(nint rows, int length, int ranks, nint lost, nint sum, int blocks) => New("sum_ranks_narrow", blocks, rows, length, ranks, lost, sum);

    /// <summary>float32 to bfloat16.</summary>
    public static CudaLaunch Narrow(nint values, int count, nint lost, nint narrow, int blocks) => New("narrow_gradients", blocks, values, count, lost, narrow);

    /// <summary>bfloat16 to float32.</summary>
    public static CudaLaunch Widen(nint narrow, int count, nint values, int blocks) => New("widen_gradients", blocks, narrow, count, values);

    /// <summary>Adds what was lost.</summary>
    public static CudaLaunch GiveBack(nint lost, int count, nint values, int blocks) => New("give_back", blocks, lost, count, values);

    private static CudaLaunch New(string kernel, int blocks, params CudaArgument[] arguments) => new(kernel, ((uint)blocks, 1), (Threads, 1), arguments);
}
