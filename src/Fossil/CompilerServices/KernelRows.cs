using System.ComponentModel;
using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace Fossil.CompilerServices;

/// <summary>
/// Runs a <see cref="IRowKernel"/> over all rows, in parallel where that pays. In a process that is started with the runtime option <c>Fossil.CheckKernels</c> it
/// first checks that no two rows write the same memory.
/// </summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class KernelRows
{
    /// <summary>Elements that a thread claims at a time.</summary>
    private const long ElementsPerClaim = 1 << 13;

    /// <summary>Elements below which one thread of a <see cref="KernelTeam"/> is done before another has begun.</summary>
    private const long ElementsWorthATeam = 1 << 12;

    /// <summary>Elements below which waking another thread costs more than it saves.</summary>
    private static readonly long ElementsWorthAThread = OpenMPTeam.IsAvailable ? 1 << 14 : 1 << 17;

    /// <summary>Runs <paramref name="kernel"/> over the rows; returns when all are done.</summary>
    /// <param name="rows">The number of rows.</param>
    /// <param name="columns">Elements of a row, to judge the amount of work by.</param>
    /// <param name="kernel">The work.</param>
    /// <exception cref="Exception">What the kernel threw; rows that had not begun then are left out.</exception>
    public static void Run<TKernel>(long rows, long columns, TKernel kernel) where TKernel : struct, IRowKernel
    {
        if (!KernelCheck.IsOn)
        {
            Launch(rows, columns, kernel);
            return;
        }

        var check = KernelCheck.Before(rows, kernel);
        Launch(rows, columns, kernel);
        check.After();
    }

    /// <summary>Runs <paramref name="kernel"/> on libtorch's threads, or on those of .NET's thread pool.</summary>
    internal static void Run<TKernel>(long rows, long columns, TKernel kernel, int threads, bool onThreadPool) where TKernel : struct, IRowKernel
    {
        var job = new Job<TKernel>(kernel, rows, Math.Max(1, ElementsPerClaim / Math.Max(1, columns)));
        if (KernelTeam.OfThread is { } team) job.RunOn(team);
        else if (onThreadPool) job.RunOnThreadPool(threads - 1);
        else OpenMPTeam.Run(job, threads);
        job.ThrowFailure();
    }

    private static void Launch<TKernel>(long rows, long columns, TKernel kernel) where TKernel : struct, IRowKernel
    {
        var elements = rows * Math.Max(1, columns);
        // A team has no thread to wake.
        var worth = KernelTeam.OfThread is null ? ElementsWorthAThread : ElementsWorthATeam;
        var threads = (int)Math.Min(Math.Min(get_num_threads(), Environment.ProcessorCount), Math.Min(rows, elements / worth));
        if (threads <= 1) kernel.Run(0, rows);
        else Run(rows, columns, kernel, threads, onThreadPool: !OpenMPTeam.IsAvailable);
    }

    /// <summary>Blocks of rows that threads claim.</summary>
    private sealed class Job<TKernel>(TKernel kernel, long rows, long block) : IThreadPoolWorkItem where TKernel : struct, IRowKernel
    {
        private long claimed;
        private long done;
        private volatile Exception? failure;

        /// <summary>
        /// The caller and its helpers. The caller never waits for a helper that has not started: libtorch's own threads may spin for a while
        /// after their last operation, so a helper may get a core too late to be of use.
        /// </summary>
        public void RunOnThreadPool(int helpers)
        {
            for (var helper = 0; helper < helpers; helper++) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            Execute();
            var wait = new SpinWait();
            while (Volatile.Read(ref done) < rows) wait.SpinOnce();
        }

        /// <summary>The caller and the threads that wait for it.</summary>
        public void RunOn(KernelTeam team)
        {
            team.Launch(this);
            var spins = 0;
            while (Volatile.Read(ref done) < rows) KernelTeam.Pause(ref spins);
        }

        public void Execute()
        {
            while (Volatile.Read(ref claimed) < rows)
            {
                var end = Interlocked.Add(ref claimed, block);
                var first = end - block;
                if (first >= rows) return;
                end = Math.Min(end, rows);
                try
                {
                    if (failure is null) kernel.Run(first, end);
                }
                catch (Exception exception)
                {
                    // On a thread of libtorch or of the pool it would end the process; the launching thread throws it.
                    failure = exception;
                }
                Interlocked.Add(ref done, end - first);
            }
        }

        /// <summary>Throws what a row threw.</summary>
        public void ThrowFailure()
        {
            if (failure is not null) ExceptionDispatchInfo.Throw(failure);
        }
    }
}
