using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;

namespace Fossil.Distributed;

/// <summary>
/// Ends the job where processes wait for one that does not come. Who waits looks at the time itself; a timer looks whether it still can, or hangs in a call of the library.
/// </summary>
internal sealed class Watchdog : IDisposable
{
    // How much longer a call of the library may take than the wait that it belongs to.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan SpinTime = TimeSpan.FromMicroseconds(20);
    private static readonly TimeSpan YieldTime = TimeSpan.FromMilliseconds(50);

    private readonly ICollectives collectives;
    private readonly IRollCall rollCall;
    private readonly Action abort;
    private readonly Timer timer;
    private long occasion;
    private long waitsSince;
    private string waitsFor = "";

    /// <param name="collectives">The processes.</param>
    /// <param name="rollCall">Finds out which are there.</param>
    /// <param name="abort">Ends all of them. It may not return.</param>
    public Watchdog(ICollectives collectives, IRollCall rollCall, Action abort)
    {
        (this.collectives, this.rollCall, this.abort) = (collectives, rollCall, abort);
        timer = new(_ => Look(), null, Grace, Grace);
    }

    /// <summary>For how long a process may wait for the others.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromMinutes(30);

    /// <summary>Waits until something is done that takes all processes. Each asks the library again and again, which works only then; where that takes long it lets other threads run.</summary>
    /// <param name="isDone">Asks.</param>
    /// <param name="what">What it is, for the message.</param>
    /// <returns>How long it took.</returns>
    public TimeSpan Wait(Func<bool> isDone, string what)
    {
        var began = Stopwatch.GetTimestamp();
        occasion++;
        waitsFor = what;
        Volatile.Write(ref waitsSince, began);
        while (!isDone())
        {
            var waited = Stopwatch.GetElapsedTime(began);
            if (waited > Timeout / 2)
            {
                AskAround(isDone, what, began);
                break;
            }

            if (waited < SpinTime) Thread.SpinWait(10);
            else if (waited < YieldTime) Thread.Yield();
            else Thread.Sleep(1);
        }

        Volatile.Write(ref waitsSince, 0);
        return Stopwatch.GetElapsedTime(began);
    }

    /// <summary>As <see cref="Wait"/>, in one call of the library.</summary>
    public void Run(Action call, string what)
    {
        waitsFor = what;
        Volatile.Write(ref waitsSince, Stopwatch.GetTimestamp());
        try
        {
            call();
        }
        finally
        {
            Volatile.Write(ref waitsSince, 0);
        }
    }

    /// <summary>Ends all processes of the job, this one after five seconds at the latest.</summary>
    /// <param name="message">Which rank is to blame, and why.</param>
    [DoesNotReturn]
    public void EndJob(string message)
    {
        Console.Error.WriteLine(message);
        Console.Error.Flush();
        new Thread(() =>
        {
            Thread.Sleep(Grace);
            using var process = Process.GetCurrentProcess();
            process.Kill();
        }) { IsBackground = true }.Start();
        abort();
        Thread.Sleep(System.Threading.Timeout.Infinite);
        throw new UnreachableException();
    }

    /// <inheritdoc/>
    public void Dispose() => timer.Dispose();

    /// <summary>Finds out who is not waiting, while there is half of the time left.</summary>
    private void AskAround(Func<bool> isDone, string what, long began)
    {
        var isOver = false;
        bool IsOver() => isOver = isOver || isDone();
        var missing = rollCall.RollCall(occasion, Timeout - Stopwatch.GetElapsedTime(began), IsOver);
        while (!IsOver())
        {
            if (Stopwatch.GetElapsedTime(began) < Timeout)
            {
                Thread.Sleep(1);
                continue;
            }

            var who = missing.Count == 0 ? "all ranks wait, so the network or the library is stuck" : $"rank{(missing.Count == 1 ? "" : "s")} {string.Join(", ", missing)} did not come: hanging, stopped, or cut off";
            EndJob($"Rank {collectives.Rank} waited {Timeout.TotalSeconds:0.#} s for {what}: {who}. The job is ended.");
        }
    }

    private void Look()
    {
        var since = Volatile.Read(ref waitsSince);
        if (since != 0 && Stopwatch.GetElapsedTime(since) > Timeout + Grace) EndJob($"Rank {collectives.Rank} has been in a call of {collectives.Library} for {Stopwatch.GetElapsedTime(since).TotalSeconds:0} s, waiting for {waitsFor}. The job is ended.");
    }
}
