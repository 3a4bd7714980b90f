using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Fossil.Distributed.Nccl;

/// <summary>
/// Where processes meet that no MPI has started: rank 0 listens at the launcher's address, tells the others NCCL's id, and passes on who is still there. What is trained never goes this way.
/// </summary>
internal sealed class Rendezvous : IRollCall, IDisposable
{
    // As long as PyTorch's.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);
    private static readonly long Greeting = BitConverter.ToInt64("FossilGn"u8);

    private readonly LaunchAddress address;
    private readonly int size;
    private readonly ConcurrentDictionary<int, NetworkStream> others = [];
    private readonly ConcurrentDictionary<int, long> lastSigns = [];

    private Rendezvous(LaunchAddress address, int size) => (this.address, this.size) = (address, size);

    /// <summary>What rank 0 has told.</summary>
    public NcclUniqueId Id { get; private set; }

    /// <summary>Waits for all processes.</summary>
    /// <param name="address">Where.</param>
    /// <param name="size">How many they are.</param>
    /// <param name="newId">Makes the id, on rank 0.</param>
    /// <param name="patience">For how long; five minutes where it is not said.</param>
    /// <exception cref="DistributedException">They do not come.</exception>
    public static Rendezvous Meet(LaunchAddress address, int size, Func<NcclUniqueId> newId, TimeSpan? patience = null)
    {
        var meeting = new Rendezvous(address, size);
        try
        {
            if (address.Rank == 0) meeting.Listen(newId(), patience ?? Patience);
            else meeting.Connect(patience ?? Patience);
        }
        catch (Exception exception) when (exception is SocketException or IOException)
        {
            meeting.Dispose();
            throw new DistributedException($"Rank {address.Rank} cannot meet the others at {address.Host}:{address.Port} (MASTER_ADDR, MASTER_PORT): {exception.Message}", exception);
        }

        return meeting;
    }

    /// <inheritdoc/>
    public IReadOnlyList<int> RollCall(long occasion, TimeSpan patience, Func<bool> isOver)
    {
        Send(address.Rank, occasion);
        var began = Stopwatch.GetTimestamp();
        int[] Missing() => [.. Enumerable.Range(0, size).Where(rank => rank != address.Rank && lastSigns.GetValueOrDefault(rank, -1) != occasion)];
        while (Missing().Length > 0 && Stopwatch.GetElapsedTime(began) < patience && !isOver()) Thread.Sleep(1);
        return Missing();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var stream in others.Values) stream.Dispose();
    }

    private void Listen(NcclUniqueId id, TimeSpan patience)
    {
        Id = id;
        using var listener = new TcpListener(IPAddress.IPv6Any, address.Port);
        listener.Server.DualMode = true;
        listener.Start(size);
        var began = Stopwatch.GetTimestamp();
        while (others.Count < size - 1)
        {
            if (Stopwatch.GetElapsedTime(began) > patience)
            {
                var missing = Enumerable.Range(1, size - 1).Where(rank => !others.ContainsKey(rank));
                throw new DistributedException($"Of {size} processes rank{(others.Count == size - 2 ? "" : "s")} {string.Join(", ", missing)} did not come to {address.Host}:{address.Port} (MASTER_ADDR, MASTER_PORT) within {patience.TotalSeconds:0} s.");
            }

            if (!listener.Pending()) Thread.Sleep(5);
            else Welcome(listener.AcceptTcpClient());
        }

        foreach (var (rank, stream) in others)
        {
            stream.Write(MemoryMarshal.AsBytes<NcclUniqueId>([id]));
            _ = FollowAsync(rank, stream);
        }
    }

    /// <summary>Others than this job's processes may come to an open port: they are sent away.</summary>
    private void Welcome(TcpClient client)
    {
        try
        {
            client.NoDelay = true;
            var stream = client.GetStream();
            stream.ReadTimeout = 5000;
            Span<long> said = stackalloc long[3];
            stream.ReadExactly(MemoryMarshal.AsBytes(said));
            if (said[0] == Greeting && said[1] == size && said[2] > 0 && said[2] < size && others.TryAdd((int)said[2], stream)) stream.ReadTimeout = Timeout.Infinite;
            else client.Dispose();
        }
        catch (IOException)
        {
            client.Dispose();
        }
    }

    private void Connect(TimeSpan patience)
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            var client = new TcpClient { NoDelay = true };
            try
            {
                client.Connect(address.Host, address.Port);
                var stream = client.GetStream();
                stream.ReadTimeout = (int)patience.TotalMilliseconds;
                stream.Write(MemoryMarshal.AsBytes<long>([Greeting, size, address.Rank]));
                var id = new byte[NcclUniqueId.Bytes];
                stream.ReadExactly(id);
                Id = MemoryMarshal.Read<NcclUniqueId>(id);
                others[0] = stream;
                _ = FollowAsync(0, stream);
                return;
            }
            catch (Exception exception) when (exception is SocketException or EndOfStreamException && Stopwatch.GetElapsedTime(began) < patience)
            {
                // Rank 0 may start later, or another program have the port until then.
                client.Dispose();
                Thread.Sleep(50);
            }
        }
    }

    /// <summary>Reads signs until the connection ends. Rank 0 passes them on, whatever its own thread does.</summary>
    private async Task FollowAsync(int from, NetworkStream stream)
    {
        var sign = new byte[2 * sizeof(long)];
        try
        {
            while (true)
            {
                await stream.ReadExactlyAsync(sign).ConfigureAwait(false);
                var (rank, occasion) = ((int)BitConverter.ToInt64(sign), BitConverter.ToInt64(sign, sizeof(long)));
                lastSigns[rank] = occasion;
                if (address.Rank == 0) Send(rank, occasion);
            }
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException)
        {
            // Who is gone gives no more signs.
            others.TryRemove(from, out _);
        }
    }

    private void Send(int rank, long occasion)
    {
        byte[] sign = [.. BitConverter.GetBytes((long)rank), .. BitConverter.GetBytes(occasion)];
        foreach (var (to, stream) in others)
        {
            if (to == rank) continue;
            try
            {
                lock (stream) stream.Write(sign);
            }
            catch (Exception exception) when (exception is IOException or ObjectDisposedException)
            {
                others.TryRemove(to, out _);
            }
        }
    }
}
