using System.Diagnostics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>What an intercepted call costs whose receiver has no adapter.</summary>
internal static class DispatchBenchmark
{
    public static void Run()
    {
        using var echo = new Echo();
        using var input = zeros(1);
        var none = PerCall(echo, input);
        using var layer = new AdaptedLayer(64, 64, ScalarType.Float32);
        using var adapted = layer.AttachAdapters();
        var some = PerCall(echo, input);
        Console.WriteLine($"dispatch: an intercepted call of a module that is not adapted costs {none:F1} ns more where the process has no adapter, {some:F1} ns where it has");
    }

    private static double PerCall(Echo echo, Tensor input)
    {
        const int Calls = 100_000;
        var best = (Direct: double.MaxValue, Dispatched: double.MaxValue);
        for (var round = 0; round < 50; round++)
        {
            var start = Stopwatch.GetTimestamp();
            for (var i = 0; i < Calls; i++) echo.Direct(input);
            best.Direct = Math.Min(best.Direct, Stopwatch.GetElapsedTime(start).TotalNanoseconds / Calls);
            start = Stopwatch.GetTimestamp();
            for (var i = 0; i < Calls; i++) AdapterDispatch.Forward(echo, input);
            best.Dispatched = Math.Min(best.Dispatched, Stopwatch.GetElapsedTime(start).TotalNanoseconds / Calls);
        }
        return best.Dispatched - best.Direct;
    }

    private sealed class Echo() : nn.Module<Tensor, Tensor>(nameof(Echo))
    {
        public override Tensor forward(Tensor input) => input;

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        public Tensor Direct(Tensor input) => input;
    }
}
