using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace Fossil.TestData;

/// <summary>One way of running kernels: sizes, dtype and threads.</summary>
/// <param name="Rows">Rows of the operands.</param>
/// <param name="Width">Their columns.</param>
/// <param name="Size">What else an operation has of sizes: the shard size, or how heads are cut.</param>
/// <param name="Dtype">The dtype of the wide operands.</param>
/// <param name="Threads">libtorch's threads.</param>
internal sealed record KernelCase(long Rows, long Width, int Size, ScalarType Dtype, int Threads);

/// <summary>An operation on the operands of a case.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Run">Computes the results anew from the operands. They must come out in the same bits each time.</param>
/// <param name="Expected">The results in float64.</param>
/// <param name="Tolerance">How far the results may be from that, relative to the largest.</param>
/// <param name="OnAnyThreads">Whether they are to be the same bits on any number of threads, as they are where a kernel of ours makes them and not a product of libtorch's.</param>
internal sealed record KernelOperation(string Name, Func<Tensor[]> Run, Func<Tensor[]> Expected, double Tolerance, bool OnAnyThreads);

/// <summary>
/// Operations that have kernels, on a sample of sizes, dtypes and numbers of threads, in a process whose vectors are 512, 256 or 128 bits wide: against float64, and
/// repeatedly. A race between two threads shows in a few passes of many; more threads than this computer has processors make it likelier.
/// </summary>
internal static class KernelCases
{
    public const string Command = "kernels";

    private const int Passes = 3, Processors = 8;

    /// <summary>Rows from one to more than any block of rows holds; most are no whole number of blocks.</summary>
    public static readonly long[] Rows = [1, 2, 129, 220, 257, 333, 700, 1000, 4096];

    /// <summary>float64 has no kernels of ours: libtorch's operations must be asked instead.</summary>
    public static readonly ScalarType[] Dtypes = [ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float64];

    public static readonly int[] Threads = [1, 2, 3, 8];

    /// <summary>Runs the program of <paramref name="tests"/> with vectors of <paramref name="bits"/> bits; skips the test where this processor has none.</summary>
    public static async Task RunInProcess(Assembly tests, int bits)
    {
        Skip.If(bits > WidestVector(), $"This processor has no vectors of {bits} bits.");
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", [tests.Location, Command, bits.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardError = true,
            Environment =
            {
                ["DOTNET_PROCESSOR_COUNT"] = Processors.ToString("X", CultureInfo.InvariantCulture),
                // Threads that wait must not keep others from the few processors that there really are, nor memory go back to the system after each operation.
                ["OMP_WAIT_POLICY"] = "passive",
                ["GOMP_SPINCOUNT"] = "0",
                ["MALLOC_MMAP_THRESHOLD_"] = "2000000000",
                ["MALLOC_TRIM_THRESHOLD_"] = "4000000000",
            },
        };
        if (bits < 512) start.Environment["DOTNET_EnableAVX512"] = "0";
        if (bits < 256) start.Environment["DOTNET_EnableAVX2"] = "0";
        using var process = Process.Start(start)!;
        var error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, error);
    }

    /// <summary>The program: 0 if everything is right.</summary>
    public static int Run(string bits, IReadOnlyList<KernelCase> cases, Func<KernelCase, IEnumerable<KernelOperation>> operations)
    {
        if (WidestVector().ToString(CultureInfo.InvariantCulture) != bits || Environment.ProcessorCount != Processors)
        {
            Console.Error.WriteLine($"The process has vectors of {WidestVector()} bits and {Environment.ProcessorCount} processors; it was to have {bits} and {Processors}.");
            return 2;
        }

        var faults = 0;
        foreach (var one in cases)
        {
            using var scope = NewDisposeScope();
            random.manual_seed(7);
            foreach (var operation in operations(one))
            {
                if (Fault(one, operation) is not { } fault) continue;
                Console.Error.WriteLine($"{operation.Name} with {one}, vectors of {bits} bits: {fault}");
                faults++;
            }
        }
        return faults == 0 ? 0 : 1;
    }

    private static string? Fault(KernelCase one, KernelOperation operation)
    {
        using var scope = NewDisposeScope();
        set_num_threads(one.Threads);
        var results = operation.Run();
        foreach (var (result, expected) in results.Zip(operation.Expected()))
        {
            // Where everything is nothing, such as the gradient of the scores of a single token, it is as far from nothing as other results are from theirs.
            var largest = expected.abs().max().item<double>();
            var difference = (result.to(float64) - expected).abs().max().item<double>() / (largest > 1e-12 ? largest : 1);
            if (!(difference <= operation.Tolerance)) return $"{difference:g3} of the largest value from float64";
        }

        for (var pass = 1; pass < Passes; pass++)
        {
            if (!AreSame(results, operation.Run())) return $"other bits in pass {pass + 1}";
        }

        set_num_threads(1);
        return operation.OnAnyThreads && !AreSame(results, operation.Run()) ? "other bits on one thread" : null;
    }

    private static bool AreSame(Tensor[] results, Tensor[] again)
    {
        foreach (var (result, other) in results.Zip(again))
        {
            using (other)
            {
                if (!result.Equals(other)) return false;
            }
        }
        return true;
    }

    private static int WidestVector() => Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128;
}
