using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>
/// What a kernel would gain if it knew the width of its rows: the loops of the generated kernels of shard size 64, once with the width as an argument, as
/// they are generated, and once with the width as a constant of the machine code. One thread.
/// </summary>
internal static class WidthBenchmark
{
    private const int Rows = 64;

    public static void Run()
    {
        Console.WriteLine($"widths: {Rows} rows, r = 64; µs with the width given, and the time with the width known as a ratio of it; medians of alternating runs");
        Console.WriteLine($"{"dtype",-9} {"width",6} {"sum",8} {"known",6} {"tile",8} {"known",6}");
        Run<Of576>();
        Run<Of1536>();
        Run<Of2048>();
    }

    private static void Run<TKnown>() where TKnown : struct, IColumns
    {
        var given = new Given(default(TKnown).Count);
        using var scope = NewDisposeScope();
        var (floats, halves, shard) = (Open(zeros(Rows, (long)given.Count)), Open(zeros(Rows, (long)given.Count, dtype: ScalarType.BFloat16)), Open(zeros(1, 64)));
        Report("Float32", Time(
            () => SumFloats(floats, shard, given), () => SumFloats(floats, shard, default(TKnown)),
            () => AddFloats(floats, shard, given), () => AddFloats(floats, shard, default(TKnown))));
        Report("BFloat16", Time(
            () => SumBFloat16s(halves, shard, given), () => SumBFloat16s(halves, shard, default(TKnown)),
            () => AddBFloat16s(halves, shard, given), () => AddBFloat16s(halves, shard, default(TKnown))));

        void Report(string dtype, double[] times) =>
            Console.WriteLine($"{dtype,-9} {given.Count,6} {times[0],8:F2} {times[1] / times[0],6:F3} {times[2],8:F2} {times[3] / times[2],6:F3}");
    }

    private static KernelMatrix Open(Tensor tensor) => KernelMatrix.TryOpen(tensor, out var matrix) ? matrix : throw new InvalidOperationException("The kernels do not take the tensor.");

    /// <summary>Microseconds of each action; one alone is too short for the clock.</summary>
    private static double[] Time(params Action[] actions)
    {
        const int repetitions = 50;
        var times = Timing.Medians(401, [.. actions.Select(action => (Action)(() =>
        {
            for (var repetition = 0; repetition < repetitions; repetition++) action();
        }))]);
        return [.. times.Select(time => time * 1e3 / repetitions)];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SumFloats<TColumns>(KernelMatrix rows, KernelMatrix shard, TColumns columns) where TColumns : struct, IColumns
    {
        ref var sum = ref shard.Row<float>(0);
        for (var row = 0L; row < Rows; row++)
        {
            ref var x = ref rows.Row<float>(row);
            var (sum0, sum1, sum2, sum3) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
            for (nuint c = 0; c + 64 <= columns.Count; c += 64)
            {
                sum0 += Vector512.LoadUnsafe(ref x, c);
                sum1 += Vector512.LoadUnsafe(ref x, c + 16);
                sum2 += Vector512.LoadUnsafe(ref x, c + 32);
                sum3 += Vector512.LoadUnsafe(ref x, c + 48);
            }
            Store(ref sum, sum0, sum1, sum2, sum3);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SumBFloat16s<TColumns>(KernelMatrix rows, KernelMatrix shard, TColumns columns) where TColumns : struct, IColumns
    {
        ref var sum = ref shard.Row<float>(0);
        for (var row = 0L; row < Rows; row++)
        {
            ref var x = ref rows.Row<ushort>(row);
            var (sum0, sum1, sum2, sum3) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
            for (nuint c = 0; c + 64 <= columns.Count; c += 64)
            {
                sum0 += BFloat16Lanes.Load512(ref x, c);
                sum1 += BFloat16Lanes.Load512(ref x, c + 16);
                sum2 += BFloat16Lanes.Load512(ref x, c + 32);
                sum3 += BFloat16Lanes.Load512(ref x, c + 48);
            }
            Store(ref sum, sum0, sum1, sum2, sum3);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddFloats<TColumns>(KernelMatrix rows, KernelMatrix shard, TColumns columns) where TColumns : struct, IColumns
    {
        var (add0, add1, add2, add3) = Load(ref shard.Row<float>(0));
        for (var row = 0L; row < Rows; row++)
        {
            ref var x = ref rows.Row<float>(row);
            for (nuint c = 0; c + 64 <= columns.Count; c += 64)
            {
                Vector512.StoreUnsafe(Vector512.LoadUnsafe(ref x, c) + add0, ref x, c);
                Vector512.StoreUnsafe(Vector512.LoadUnsafe(ref x, c + 16) + add1, ref x, c + 16);
                Vector512.StoreUnsafe(Vector512.LoadUnsafe(ref x, c + 32) + add2, ref x, c + 32);
                Vector512.StoreUnsafe(Vector512.LoadUnsafe(ref x, c + 48) + add3, ref x, c + 48);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddBFloat16s<TColumns>(KernelMatrix rows, KernelMatrix shard, TColumns columns) where TColumns : struct, IColumns
    {
        var (add0, add1, add2, add3) = Load(ref shard.Row<float>(0));
        for (var row = 0L; row < Rows; row++)
        {
            ref var x = ref rows.Row<ushort>(row);
            for (nuint c = 0; c + 64 <= columns.Count; c += 64)
            {
                BFloat16Lanes.Store512(BFloat16Lanes.Load512(ref x, c) + add0, ref x, c);
                BFloat16Lanes.Store512(BFloat16Lanes.Load512(ref x, c + 16) + add1, ref x, c + 16);
                BFloat16Lanes.Store512(BFloat16Lanes.Load512(ref x, c + 32) + add2, ref x, c + 32);
                BFloat16Lanes.Store512(BFloat16Lanes.Load512(ref x, c + 48) + add3, ref x, c + 48);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(ref float row, Vector512<float> first, Vector512<float> second, Vector512<float> third, Vector512<float> fourth)
    {
        Vector512.StoreUnsafe(first, ref row, 0);
        Vector512.StoreUnsafe(second, ref row, 16);
        Vector512.StoreUnsafe(third, ref row, 32);
        Vector512.StoreUnsafe(fourth, ref row, 48);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float> First, Vector512<float> Second, Vector512<float> Third, Vector512<float> Fourth) Load(ref float row) =>
        (Vector512.LoadUnsafe(ref row, 0), Vector512.LoadUnsafe(ref row, 16), Vector512.LoadUnsafe(ref row, 32), Vector512.LoadUnsafe(ref row, 48));

    /// <summary>A width. The JIT compiles a method anew for each type, so that what one returns as a constant is one.</summary>
    private interface IColumns
    {
        nuint Count { get; }
    }

    private readonly struct Given(nuint count) : IColumns
    {
        public nuint Count { get; } = count;
    }

    private readonly struct Of576 : IColumns
    {
        public nuint Count => 576;
    }

    private readonly struct Of1536 : IColumns
    {
        public nuint Count => 1536;
    }

    private readonly struct Of2048 : IColumns
    {
        public nuint Count => 2048;
    }
}
