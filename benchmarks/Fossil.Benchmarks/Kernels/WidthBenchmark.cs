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
        Report<float>("Float32", floats);
        Report<ushort>("BFloat16", halves);

        void Report<T>(string dtype, KernelMatrix rows) where T : unmanaged
        {
            var times = Time(
                () => Sum<T, Given>(rows, shard, given), () => Sum<T, TKnown>(rows, shard, default),
                () => Add<T, Given>(rows, shard, given), () => Add<T, TKnown>(rows, shard, default));
            Console.WriteLine($"{dtype,-9} {given.Count,6} {times[0],8:F2} {times[1] / times[0],6:F3} {times[2],8:F2} {times[3] / times[2],6:F3}");
        }
    }

    private static KernelMatrix Open(Tensor tensor) => KernelMatrix.TryOpen(tensor, out var matrix) ? matrix : throw new InvalidOperationException("The kernels do not take the tensor.");

    /// <summary>Microseconds of each action; one alone is too short for the clock.</summary>
    private static double[] Time(params Action[] actions)
    {
        const int repetitions = 50;
        var times = Turns.Take(401, [.. actions.Select(action => Turns.Microseconds(() =>
        {
            for (var repetition = 0; repetition < repetitions; repetition++) action();
        }))]);
        return [.. times.Select(time => time.Median / repetitions)];
    }

    /// <summary>For <typeparamref name="T"/> float32 (<see cref="float"/>) or bfloat16 (<see cref="ushort"/>).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Sum<T, TColumns>(KernelMatrix rows, KernelMatrix shard, TColumns columns) where T : unmanaged where TColumns : struct, IColumns
    {
        ref var sum = ref shard.Row<float>(0);
        for (var row = 0L; row < Rows; row++)
        {
            ref var x = ref rows.Row<T>(row);
            var (sum0, sum1, sum2, sum3) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
            for (nuint c = 0; c + 64 <= columns.Count; c += 64)
            {
                sum0 += Load(ref x, c);
                sum1 += Load(ref x, c + 16);
                sum2 += Load(ref x, c + 32);
                sum3 += Load(ref x, c + 48);
            }
            Store(sum0, ref sum, 0);
            Store(sum1, ref sum, 16);
            Store(sum2, ref sum, 32);
            Store(sum3, ref sum, 48);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add<T, TColumns>(KernelMatrix rows, KernelMatrix shard, TColumns columns) where T : unmanaged where TColumns : struct, IColumns
    {
        ref var tile = ref shard.Row<float>(0);
        var (add0, add1, add2, add3) = (Load(ref tile, 0), Load(ref tile, 16), Load(ref tile, 32), Load(ref tile, 48));
        for (var row = 0L; row < Rows; row++)
        {
            ref var x = ref rows.Row<T>(row);
            for (nuint c = 0; c + 64 <= columns.Count; c += 64)
            {
                Store(Load(ref x, c) + add0, ref x, c);
                Store(Load(ref x, c + 16) + add1, ref x, c + 16);
                Store(Load(ref x, c + 32) + add2, ref x, c + 32);
                Store(Load(ref x, c + 48) + add3, ref x, c + 48);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Load<T>(ref T row, nuint index) where T : unmanaged =>
        typeof(T) == typeof(float) ? Vector512.LoadUnsafe(ref Unsafe.As<T, float>(ref row), index) : BFloat16Lanes.Load512(ref Unsafe.As<T, ushort>(ref row), index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<T>(Vector512<float> value, ref T row, nuint index) where T : unmanaged
    {
        if (typeof(T) == typeof(float)) value.StoreUnsafe(ref Unsafe.As<T, float>(ref row), index);
        else BFloat16Lanes.Store512(value, ref Unsafe.As<T, ushort>(ref row), index);
    }

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
