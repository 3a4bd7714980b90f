using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace Fossil.CompilerServices;

/// <summary>
/// libtorch's threads, kept together over many short launches of one thread: between two of them they spin, so that a launch begins within the time that a cache line takes from one core to another, and not
/// within that of waking a thread, which is tens of microseconds where waiting threads sleep. For the launches of a token, each of which is shorter than that.
/// </summary>
internal sealed class KernelTeam : IThreadPoolWorkItem
{
    // About fifty microseconds: longer than what lies between two launches. A thread that waits longer gives its core to whoever has use for it.
    private const int SpinsBeforeYield = 1000;

    [ThreadStatic]
    private static KernelTeam? ofThread;

    private readonly Action work;
    private readonly int owner = Environment.CurrentManagedThreadId;
    private volatile IThreadPoolWorkItem? job;
    private volatile bool isOver;
    private ExceptionDispatchInfo? failure;

    private KernelTeam(Action work) => this.work = work;

    /// <summary>The team whose launches this thread makes; null where it makes them each on its own.</summary>
    public static KernelTeam? OfThread => ofThread;

    /// <summary>Runs <paramref name="work"/> on this thread; what it launches by <see cref="KernelRows"/> finds the other threads waiting. libtorch's own operations in it run on this thread alone.</summary>
    /// <exception cref="Exception">What the work threw.</exception>
    public static void Run(Action work)
    {
        var threads = Math.Min(get_num_threads(), Environment.ProcessorCount);
        if (threads <= 1 || !OpenMPTeam.IsAvailable || ofThread is not null)
        {
            work();
            return;
        }

        var team = new KernelTeam(work);
        OpenMPTeam.Run(team, threads);
        team.failure?.Throw();
    }

    /// <summary>Gives a job to all threads, and takes part in it; the caller waits for it to be done, which it never is for a thread that has not begun.</summary>
    public void Launch(IThreadPoolWorkItem next)
    {
        job = next;
        next.Execute();
    }

    void IThreadPoolWorkItem.Execute()
    {
        if (Environment.CurrentManagedThreadId == owner) Lead();
        else Follow();
    }

    private void Lead()
    {
        ofThread = this;
        try
        {
            work();
        }
        catch (Exception exception)
        {
            // It may not pass through the native frames between this and the caller.
            failure = ExceptionDispatchInfo.Capture(exception);
        }
        finally
        {
            ofThread = null;
            isOver = true;
        }
    }

    private void Follow()
    {
        IThreadPoolWorkItem? last = null;
        var spins = 0;
        while (!isOver)
        {
            var next = job;
            if (ReferenceEquals(next, last))
            {
                Pause(ref spins);
                continue;
            }

            (last, spins) = (next, 0);
            next!.Execute();
        }
    }

    /// <summary>Waits a moment.</summary>
    public static void Pause(ref int spins)
    {
        if (++spins < SpinsBeforeYield) Thread.SpinWait(1);
        else Thread.Yield();
    }
}
