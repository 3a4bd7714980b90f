using Fossil.CompilerServices;

namespace Fossil.Tests.Kernels;

/// <summary>Many launches on threads that wait for each other without sleeping.</summary>
public sealed class KernelTeamTests
{
    private const int Launches = 2000, Rows = 37;

    [Fact]
    public void Each_row_of_each_launch_runs_once_and_is_seen_by_the_next()
    {
        var counts = new int[Rows];
        KernelTeam.Run(() =>
        {
            for (var launch = 0; launch < Launches; launch++)
            {
                Launch(Rows, new Count(counts, launch));
                Assert.All(counts, count => Assert.Equal(launch + 1, count));
            }
        });
        Assert.Null(KernelTeam.OfThread);
    }

    [Fact]
    public void What_the_work_or_a_row_throws_reaches_the_caller_and_ends_the_team()
    {
        var counts = new int[Rows];
        for (var repetition = 0; repetition < 3; repetition++)
        {
            Assert.Throws<InvalidOperationException>(() => KernelTeam.Run(() => throw new InvalidOperationException()));
            Assert.Throws<OutOfMemoryException>(() => KernelTeam.Run(() => Launch(Rows, new Count(counts, Expected: -1))));
            Assert.Null(KernelTeam.OfThread);
        }
    }

    [Fact]
    public void A_team_within_a_team_and_a_launch_within_a_launch_run()
    {
        var counts = new int[Rows];
        var inner = new int[Rows];
        KernelTeam.Run(() => KernelTeam.Run(() =>
        {
            Launch(Rows, new Count(counts, 0));
            Launch(2, new Nested(inner));
        }));
        Assert.All(counts, count => Assert.Equal(1, count));
        Assert.All(inner, count => Assert.Equal(2, count));
    }

    // Without the check of what rows write, for which arrays have no place.
    private static void Launch<TKernel>(long rows, TKernel kernel) where TKernel : struct, IRowKernel => KernelRows.Run(rows, 1 << 13, kernel, threads: 2, onThreadPool: !OpenMPTeam.IsAvailable);

    private readonly record struct Count(int[] Counts, int Expected) : IRowKernel
    {
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++)
            {
                // What another thread wrote in the launch before has to be there.
                if (Interlocked.Increment(ref Counts[row]) != Expected + 1) throw new OutOfMemoryException();
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => throw new NotSupportedException("Its array may move.");
    }

    private readonly record struct Nested(int[] Counts) : IRowKernel
    {
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++) Launch(Rows, new Add(Counts));
        }

        public void DeclareWrites(long row, KernelWrites writes) => throw new NotSupportedException("Its array may move.");
    }

    private readonly record struct Add(int[] Counts) : IRowKernel
    {
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++) Interlocked.Increment(ref Counts[row]);
        }

        public void DeclareWrites(long row, KernelWrites writes) => throw new NotSupportedException("Its array may move.");
    }
}
