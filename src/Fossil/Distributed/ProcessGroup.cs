using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;
using Fossil.Cuda;
using Fossil.Distributed.Mpi;
using Fossil.Distributed.Nccl;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Distributed;

/// <summary>
/// The processes that train together, started by a launcher such as <c>mpirun</c> or <c>srun</c>, each with a copy of the model (PyTorch: <c>torch.distributed</c>). <see cref="Trainer{TBatch}"/> finds it itself; a loop of one's own
/// calls <see cref="ReduceGradients"/> before <c>optimizer.step()</c>.
/// </summary>
/// <remarks>One thread at a time may use it. All processes call the same methods in the same order.</remarks>
public sealed class ProcessGroup
{
    // One call of a library counts bytes in 32 bits, and may need as much memory beside them.
    private const int LongestTransfer = 1 << 26;

    private static readonly Lazy<ProcessGroup?> Joining = new(Join);

    private readonly ConditionalWeakTable<optim.Optimizer, GradientReducer> reducers = [];
    private readonly ICollectives collectives;
    private readonly int? localRank;
    private int? machineRank;
    private bool isOver;

    private ProcessGroup(ICollectives collectives, IRollCall rollCall, int? localRank, bool isOfHosts)
    {
        (this.collectives, RollCall, this.localRank) = (collectives, rollCall, localRank);
        Memories = new(this, isOfHosts ? new(collectives) : null);
        Watchdog = new(collectives, rollCall, Abort);
        AppDomain.CurrentDomain.UnhandledException += (_, thrown) => EndAfter((thrown.ExceptionObject as Exception)?.ToString() ?? "an unknown exception");
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Leave();
    }

    /// <summary>The processes of the job that this one belongs to; null where it was started alone. The first use joins the job: all processes come to it.</summary>
    /// <exception cref="DistributedException">A launcher says that this process is one of several, and the library between them cannot be loaded or started.</exception>
    public static ProcessGroup? Current => Joining.Value;

    /// <summary>As <see cref="Current"/>, where this process has joined already.</summary>
    internal static ProcessGroup? Joined => Joining.IsValueCreated ? Joining.Value : null;

    /// <summary>Which of the processes this is, from 0.</summary>
    public int Rank => collectives.Rank;

    /// <summary>How many there are.</summary>
    public int Size => collectives.Size;

    /// <summary>Which of those on its machine this is, from 0: the CUDA device that it takes. The first use asks all processes where no variable of the launcher says it.</summary>
    public int LocalRank => machineRank ??= localRank ?? RankOnMachine();

    /// <summary>Whether this is the one that reports and writes files: rank 0.</summary>
    public bool IsMain => Rank == 0;

    /// <summary>The library between the processes, in its own words.</summary>
    public string Library => collectives.Library;

    /// <summary>For how long a process waits for the others before it ends the job with a message that names who did not come (transformers: <c>ddp_timeout</c>); the same on all ranks.</summary>
    public TimeSpan Timeout
    {
        get => Watchdog.Timeout;
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(value, TimeSpan.Zero);
            Watchdog.Timeout = value;
        }
    }

    /// <summary>How the last step's gradients were summed; null before the first.</summary>
    public ReductionReport? LastReduction { get; internal set; }

    /// <summary>What the operations are asked of.</summary>
    internal ICollectives Collectives => collectives;

    /// <summary>Finds out which ranks are there.</summary>
    internal IRollCall RollCall { get; }

    /// <summary>Looks after waits for other ranks.</summary>
    internal Watchdog Watchdog { get; }

    /// <summary>What gradients are summed in.</summary>
    internal ReductionMemories Memories { get; }

    /// <summary>
    /// Sums the gradients of all ranks, each weighted by what counts in its loss, and divides by all of that: then each rank has the gradients of the mean loss over all their batches. Call it between <c>backward()</c> and
    /// <c>optimizer.step()</c>, on every rank at every step, also where a rank's batch is empty.
    /// </summary>
    /// <remarks>The sums are made in the order of the ranks, whatever the library does: they are the same bits on all ranks and in each run. The first call checks that all ranks begin with the same parameters.</remarks>
    /// <param name="optimizer">The optimizer whose parameters have the gradients.</param>
    /// <param name="lossItems">Over how many items (tokens, examples) this rank's loss is a mean: <see cref="ITrainingBatch.LossItems"/>.</param>
    /// <exception cref="RanksDifferException">At the first call: the ranks' parameters differ.</exception>
    public void ReduceGradients(optim.Optimizer optimizer, long lossItems = 1)
    {
        ArgumentNullException.ThrowIfNull(optimizer);
        ArgumentOutOfRangeException.ThrowIfNegative(lossItems);
        using var withoutGradient = no_grad();
        if (!reducers.TryGetValue(optimizer, out var reducer))
        {
            reducers.Add(optimizer, reducer = new(this, GradientPlace.Of(optimizer)));
            RankComparison.RequireSameParameters(this, reducer.Parameters, "Begin with the same ones: seed the random numbers before the model and its adapters are created, or load the same files.");
        }

        double total = AllGather(lossItems).Sum();
        reducer.Scale(total == 0 ? 0 : lossItems / total);
        reducer.Begin(mayOverlap: false);
        reducer.Finish();
    }

    /// <summary>Every rank's value, by rank.</summary>
    internal T[] AllGather<T>(T mine)
        where T : unmanaged
    {
        var all = GC.AllocateUninitializedArray<T>(Size, pinned: true);
        all[Rank] = mine;
        var bytes = Unsafe.SizeOf<T>();
        Await(collectives.AllGather(Marshal.UnsafeAddrOfPinnedArrayElement(all, 0), Slices.Equal(bytes, Size)), "what the others say");
        return all;
    }

    /// <summary>Every rank's bytes, by rank.</summary>
    internal byte[][] AllGather(ReadOnlySpan<byte> mine)
    {
        var lengths = AllGather(mine.Length);
        var starts = new int[Size];
        for (var rank = 1; rank < Size; rank++) starts[rank] = starts[rank - 1] + lengths[rank - 1];
        var all = GC.AllocateUninitializedArray<byte>(Math.Max(1, starts[^1] + lengths[^1]), pinned: true);
        mine.CopyTo(all.AsSpan(starts[Rank]));
        Await(collectives.AllGather(Marshal.UnsafeAddrOfPinnedArrayElement(all, 0), new(starts, lengths)), "what the others say");
        return [.. starts.Zip(lengths, (start, length) => all[start..(start + length)])];
    }

    /// <summary>Copies rank 0's memory to all.</summary>
    internal void Broadcast(nint memory, long bytes)
    {
        for (long start = 0; start < bytes; start += LongestTransfer) Await(collectives.Broadcast(memory + (nint)start, (int)Math.Min(LongestTransfer, bytes - start), 0), "what rank 0 sends");
    }

    /// <summary>Rank 0's bytes.</summary>
    internal byte[] Broadcast(byte[] mine)
    {
        var length = AllGather(mine.Length)[0];
        var bytes = GC.AllocateUninitializedArray<byte>(Math.Max(1, length), pinned: true);
        if (IsMain) mine.CopyTo(bytes, 0);
        Broadcast(Marshal.UnsafeAddrOfPinnedArrayElement(bytes, 0), length);
        return bytes[..length];
    }

    /// <summary>Does what may fail on one rank alone: where it does, all ranks end.</summary>
    /// <exception cref="RankFailedException">It failed on another rank; the rank itself throws what went wrong.</exception>
    internal T Together<T>(Func<T> action)
    {
        var (result, failure) = (default(T), (Exception?)null);
        try
        {
            result = action();
        }
        catch (Exception exception)
        {
            failure = exception;
        }

        ThrowIfAnyFailed(failure);
        return result!;
    }

    /// <summary>Throws on all ranks where one has failed.</summary>
    /// <param name="mine">What went wrong on this one.</param>
    internal void ThrowIfAnyFailed(Exception? mine)
    {
        var failed = AllGather((byte)(mine is null ? 0 : 1));
        if (!failed.Contains((byte)1)) return;
        var messages = AllGather(Encoding.UTF8.GetBytes(mine?.Message ?? ""));
        if (mine is not null) ExceptionDispatchInfo.Throw(mine);
        var first = Array.IndexOf(failed, (byte)1);
        throw new RankFailedException(first, Encoding.UTF8.GetString(messages[first]));
    }

    /// <summary>Waits until something is done that takes all processes.</summary>
    internal TimeSpan Await(Func<bool> isDone, string what) => Watchdog.Wait(isDone, what);

    private void Await(IPendingOperation operation, string what) => Await(operation.IsDone, what);

    private static ProcessGroup? Join()
    {
        if (Launch.From(Environment.GetEnvironmentVariable) is not { } launch || launch.Size == 1) return null;
        if (launch.Address is { } address) return JoinDevices(launch, address);
        var mpi = new MpiCollectives(MpiLibrary.Load(launch));
        var group = new ProcessGroup(mpi, mpi, launch.LocalRank, isOfHosts: true);
        return group.Size > 1 ? group : null;
    }

    /// <summary>Without MPI the devices are joined first, and the little that hosts have to say goes through them.</summary>
    private static ProcessGroup JoinDevices(Launch launch, LaunchAddress address)
    {
        var advice = $"{launch.Launcher} says that this process is one of {launch.Size}, and no MPI has started them, so NCCL has to join their CUDA devices. Start them with mpirun where there are none, or set {Launch.Variable} to {Launch.Off}.";
        var ordinal = CudaRuntime.OfProcess.DeviceCount is > 1 and var devices ? (launch.LocalRank ?? 0) % devices : 0;
        var (found, failure) = ReductionMemories.Find(ordinal);
        if (found is not var (library, device)) throw new DistributedException($"{failure} {advice}");
        var meeting = Rendezvous.Meet(address, launch.Size!.Value, library.NewId);
        var nccl = new NcclCollectives(library, device, meeting.Id, address.Rank, launch.Size.Value);
        var group = new ProcessGroup(new StagedCollectives(nccl), meeting, launch.LocalRank, isOfHosts: false);
        group.Memories.Add(nccl, ordinal);
        return group;
    }

    /// <summary>Nothing catches an error of this rank: the others must not wait for it. Where all have the same error, each has time to say so.</summary>
    private void EndAfter(string error)
    {
        if (Interlocked.Exchange(ref isOver, true)) return;
        Console.Error.WriteLine($"Rank {Rank}: {error}");
        Thread.Sleep(TimeSpan.FromSeconds(1));
        Watchdog.EndJob($"Rank {Rank} ends the job.");
    }

    /// <summary>At the end of the program. One that failed leaves the job without a word, which launchers take for a failure and end the others.</summary>
    private void Leave()
    {
        if (Interlocked.Exchange(ref isOver, true) || Environment.ExitCode != 0) return;

        // Ending MPI waits too, but with all of a core.
        _ = AllGather((byte)0);
        Watchdog.Run(Memories.Dispose, "the others' end");
        Watchdog.Run(collectives.Dispose, "the others' end");
        Watchdog.Dispose();
    }

    private void Abort()
    {
        Memories.Abort();
        collectives.Abort();
    }

    /// <summary>How many ranks before this one are on its machine.</summary>
    private int RankOnMachine()
    {
        var machines = AllGather(Encoding.UTF8.GetBytes(Environment.MachineName));
        return machines.Take(Rank).Count(machine => machine.AsSpan().SequenceEqual(machines[Rank]));
    }
}
