using System.Runtime.InteropServices;
using Fossil.Cuda.Native;
using Fossil.Cuda.Tests;
using Fossil.Distributed.Nccl;

namespace Fossil.Distributed.Tests;

/// <summary>What NCCL is asked, on one without a device that refuses what the real one would; the ranks are threads.</summary>
public sealed class NcclOperationTests
{
    [SkippableFact]
    public void Operations_follow_each_other_on_the_stream()
    {
        const int Ranks = 3;
        var driver = FakeDriver.Reset();
        var results = OnRanks(driver, Ranks, nccl =>
        {
            // Slices of unequal length: that of rank k is k + 1 numbers; number i of rank r is 100 r + i. Nobody waits between.
            int[] lengths = [1, 2, 3], starts = [0, 1, 3];
            var slices = new Slices([.. starts.Select(start => start * 4)], [.. lengths.Select(length => length * 4)]);
            var (sent, received) = (Pinned([.. Enumerable.Range(100 * nccl.Rank, 6)]), Pinned(new int[lengths[nccl.Rank] * Ranks]));
            Assert.True(nccl.AllToAll(Address(sent), slices, Address(received)).IsDone());
            var gathered = Pinned(new int[6]);
            Array.Fill(gathered, nccl.Rank, starts[nccl.Rank], lengths[nccl.Rank]);
            nccl.AllGather(Address(gathered), slices);
            var equal = Pinned(new int[Ranks]);
            equal[nccl.Rank] = nccl.Rank + 7;
            nccl.AllGather(Address(equal), Slices.Equal(4, Ranks));
            var told = Pinned([nccl.Rank + 40]);
            nccl.Broadcast(Address(told), 4, 2);
            Wait(nccl.End());
            return string.Join('|', new[] { received, gathered, equal, told }.Select(numbers => string.Join(' ', numbers)));
        });
        Assert.Null(driver.Error);
        Assert.Equal(["0 100 200|0 1 1 2 2 2|7 8 9|42", "1 2 101 102 201 202|0 1 1 2 2 2|7 8 9|42", "3 4 5 103 104 105 203 204 205|0 1 1 2 2 2|7 8 9|42"], results);
    }

    /// <summary>What hosts say to each other goes through the devices.</summary>
    [SkippableFact]
    public void The_memory_of_hosts_is_carried_too()
    {
        var driver = FakeDriver.Reset();
        var results = OnRanks(driver, 2, nccl =>
        {
            var hosts = new StagedCollectives(nccl);
            var big = Pinned(new int[100_000]);
            Array.Fill(big, nccl.Rank + 1);
            Wait(hosts.Broadcast(Address(big), big.Length * 4, 1));
            var gathered = Pinned([nccl.Rank, nccl.Rank]);
            Wait(hosts.AllGather(Address(gathered), Slices.Equal(4, 2)));
            var (sent, received) = (Pinned([nccl.Rank, 10 + nccl.Rank]), Pinned(new int[2]));
            Wait(hosts.AllToAll(Address(sent), Slices.Equal(4, 2), Address(received)));
            return $"{big[0]} {big[^1]} {gathered[0]} {gathered[1]} {received[0]} {received[1]}";
        });
        Assert.Equal(["2 2 0 1 0 1", "2 2 0 1 10 11"], results);
    }

    [SkippableTheory]
    [InlineData("ncclCommInitRank:2", "NCCL's ncclCommInitRank: unhandled system error (as the test asked)")]
    [InlineData("ncclGetUniqueId:3", "NCCL's ncclGetUniqueId: internal error (as the test asked)")]
    [InlineData("ncclGetVersion:1", "NCCL's ncclGetVersion: unhandled cuda error")]
    [InlineData("ncclGroupStart:5", "NCCL's ncclGroupStart: invalid usage (as the test asked)")]
    [InlineData("ncclGroupEnd:6", "NCCL's ncclGroupEnd: remote process exited or there was a network error (as the test asked)")]
    [InlineData("ncclSend:4", "NCCL's ncclSend: invalid argument (as the test asked)")]
    [InlineData("ncclRecv:4", "NCCL's ncclRecv: invalid argument (as the test asked)")]
    [InlineData("ncclAllGather:4", "NCCL's ncclAllGather: invalid argument (as the test asked)")]
    [InlineData("ncclBroadcast:4", "NCCL's ncclBroadcast: invalid argument (as the test asked)")]
    public void What_fails_is_named(string fails, string message)
    {
        var driver = FakeDriver.Reset();
        driver.Nccl(fails: fails);
        var error = Assert.Throws<DistributedException>(() => OnRanks(driver, 1, nccl =>
        {
            var memory = Pinned(new int[4]);
            nccl.AllToAll(Address(memory), Slices.Equal(8, 1), Address(memory) + 8);
            nccl.AllGather(Address(memory), Slices.Equal(8, 1));
            nccl.Broadcast(Address(memory), 8, 0);
            return "";
        }));
        Assert.StartsWith(message, error.Message, StringComparison.Ordinal);
        Assert.Contains("NCCL_DEBUG=INFO", error.Message, StringComparison.Ordinal);
        Assert.Equal((0, 0), (driver.NcclGroups, driver.Contexts));
    }

    /// <summary>Of what has begun nothing comes any more: the wait ends with the error, and the device is given free.</summary>
    [SkippableFact]
    public void What_goes_wrong_later_ends_the_wait()
    {
        var driver = FakeDriver.Reset();
        var id = new NcclLibrary(driver.Library).NewId();
        var device = driver.Runtime().Device(0)!;
        var ranks = new NcclCollectives[2];
        Thread[] threads = [.. Enumerable.Range(0, 2).Select(rank => new Thread(() => ranks[rank] = new(new(driver.Library), device, id, rank, 2)))];
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        var memory = Pinned(new int[2]);
        ranks[0].AllGather(Address(memory), Slices.Equal(4, 2));
        var end = ranks[0].End();
        Assert.False(end.IsDone());
        driver.Nccl(fails: "async:6");
        var error = Assert.Throws<DistributedException>(() => Wait(end));
        Assert.Contains("remote process exited or there was a network error", error.Message, StringComparison.Ordinal);

        // The communicator is void, and what waited on the stream has ended.
        ranks[0].Abort();
        driver.Nccl();
        var after = ranks[0].Stream.Mark();
        Assert.True(SpinWait.SpinUntil(() => ranks[0].Stream.IsReached(after), TimeSpan.FromSeconds(30)));
    }

    [SkippableTheory]
    [InlineData(2604, "2.6.4")]
    [InlineData(1302, "1.3.2")]
    public void An_old_one_is_refused(int version, string name)
    {
        var driver = FakeDriver.Reset();
        driver.Nccl(version);
        Assert.StartsWith($"NCCL {name} is too old: 2.7.0 is the first", Assert.Throws<DistributedException>(() => new NcclLibrary(driver.Library)).Message, StringComparison.Ordinal);
    }

    [SkippableTheory]
    [InlineData(2708, 2, 7, 8)]
    [InlineData(20904, 2, 9, 4)]
    [InlineData(22705, 2, 27, 5)]
    public void Versions_are_read_as_they_are_written(int version, int major, int minor, int patch)
    {
        var driver = FakeDriver.Reset();
        driver.Nccl(version);
        Assert.Equal(new Version(major, minor, patch), new NcclLibrary(driver.Library).Version);
    }

    [SkippableFact]
    public void Another_library_is_refused()
    {
        Tools.RequireNvrtc();
        var error = Assert.Throws<DistributedException>(() => new NcclLibrary(NativeLibrary.Load(Tools.NvrtcFile!)));
        Assert.Contains("has no function ncclGetErrorString", error.Message, StringComparison.Ordinal);
        Assert.Contains("FOSSIL_NCCL", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("libnccl.so.2", true)]
    [InlineData("libnccl-1a2b3c.so.2.21.5", true)]
    [InlineData("libtorch_cuda.so", true)]
    [InlineData("libnccl-net.so", false)]
    [InlineData("libtorch_cuda_linalg.so", false)]
    public void It_is_looked_for_in_files_of_these_names(string file, bool isOne) => Assert.Equal(isOne, CudaLibrary.Nccl.Files.IsMatch(file));

    private static string[] OnRanks(FakeDriver driver, int ranks, Func<NcclCollectives, string> run)
    {
        Tools.RequireNvrtc();
        NcclLibrary nccl = new(driver.Library);
        var id = nccl.NewId();
        var device = driver.Runtime().Device(0)!;
        string Rank(int rank)
        {
            var joined = new NcclCollectives(nccl, device, id, rank, ranks);
            var result = run(joined);
            joined.Dispose();
            return result;
        }

        if (ranks == 1) return [Rank(0)];
        var results = new string[ranks];
        Thread[] threads = [.. Enumerable.Range(0, ranks).Select(rank => new Thread(() => results[rank] = Rank(rank)))];
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        return results;
    }

    private static void Wait(IPendingOperation operation) => Assert.True(SpinWait.SpinUntil(operation.IsDone, TimeSpan.FromSeconds(30)));

    private static int[] Pinned(int[] numbers)
    {
        var pinned = GC.AllocateArray<int>(numbers.Length, pinned: true);
        numbers.CopyTo(pinned, 0);
        return pinned;
    }

    private static nint Address(int[] pinned) => Marshal.UnsafeAddrOfPinnedArrayElement(pinned, 0);
}
