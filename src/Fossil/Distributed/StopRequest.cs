using System.Runtime.InteropServices;

namespace Fossil.Distributed;

/// <summary>
/// Asks a run to save and stop after its current step: by SIGUSR1, or by a file named <c>stop</c> in the output folder, which the run deletes. Where several processes train together also by SIGINT and SIGTERM, which launchers send before they kill;
/// the second one ends the process.
/// </summary>
internal sealed class StopRequest : IDisposable
{
    private const string FileName = "stop";

    private readonly List<PosixSignalRegistration> registrations = [];
    private readonly string? file;
    private int requests;

    /// <param name="folder">The output folder; null for none.</param>
    /// <param name="ranks">The processes.</param>
    public StopRequest(string? folder, DataParallel ranks)
    {
        file = folder is null || !ranks.IsMain ? null : Path.Combine(folder, FileName);
        if (OperatingSystem.IsWindows()) return;

        // .NET has no name for it; its numbers are those of the system.
        registrations.Add(PosixSignalRegistration.Create((PosixSignal)(OperatingSystem.IsLinux() ? 10 : 30), Request));
        if (ranks.Size == 1) return;
        registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, Request));
        registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, Request));
    }

    /// <summary>Whether the run is to stop.</summary>
    public bool IsRequested
    {
        get
        {
            if (file is not null && File.Exists(file))
            {
                File.Delete(file);
                Interlocked.Increment(ref requests);
            }

            return Volatile.Read(ref requests) > 0;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => registrations.ForEach(registration => registration.Dispose());

    private void Request(PosixSignalContext context) => context.Cancel = Interlocked.Increment(ref requests) == 1 || (int)context.Signal > 0;
}
