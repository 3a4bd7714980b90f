using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Fossil.Distributed.Tests;

/// <summary>The operations, each with what its result must be.</summary>
internal static class BasicScenario
{
    public static void Run(RankResults results, string[] arguments)
    {
        var group = ProcessGroup.Current!;
        results.Add("size", $"{group.Size}");
        results.Add("library", group.Library);
        results.Add("null reference", Catch(null));
        results.Add("all gather", string.Join(' ', group.AllGather(group.Rank * 1.5)));
        results.Add("texts", string.Join('|', group.AllGather(Enumerable.Repeat((byte)('a' + group.Rank), group.Rank * 3).ToArray()).Select(System.Text.Encoding.ASCII.GetString)));
        results.Add("broadcast", System.Text.Encoding.ASCII.GetString(group.Broadcast(System.Text.Encoding.ASCII.GetBytes($"from rank {group.Rank}"))));
        results.Add("all to all", AllToAll(group));
        results.Add("roll call", string.Join(' ', group.RollCall.RollCall(1, TimeSpan.FromSeconds(20), () => false)));
        results.Add("together", Together(group));
    }

    /// <summary>.NET makes the exception of a signal, which libraries below MPI would take.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static string Catch(string? text)
    {
        try
        {
            return $"{text!.Length}";
        }
        catch (NullReferenceException)
        {
            return "caught";
        }
    }

    /// <summary>Slices of unequal length: that of rank k is k + 1 numbers; number i of rank r is 100 r + i.</summary>
    private static string AllToAll(ProcessGroup group)
    {
        int[] lengths = [.. Enumerable.Range(1, group.Size)];
        int[] starts = [.. lengths.Select((_, rank) => lengths.Take(rank).Sum())];
        var sent = GC.AllocateArray<int>(lengths.Sum(), pinned: true);
        for (var i = 0; i < sent.Length; i++) sent[i] = (100 * group.Rank) + i;
        var received = GC.AllocateArray<int>(lengths[group.Rank] * group.Size, pinned: true);
        var slices = new Slices([.. starts.Select(start => start * sizeof(int))], [.. lengths.Select(length => length * sizeof(int))]);
        var operation = group.Collectives.AllToAll(Marshal.UnsafeAddrOfPinnedArrayElement(sent, 0), slices, Marshal.UnsafeAddrOfPinnedArrayElement(received, 0));
        group.Await(operation.IsDone, "slices");
        return string.Join(' ', received);
    }

    private static string Together(ProcessGroup group)
    {
        try
        {
            group.Together(() => group.Rank == 1 ? throw new InvalidOperationException("nothing left") : 0);
            return "nothing was thrown";
        }
        catch (Exception exception)
        {
            return $"{exception.GetType().Name}: {exception.Message}";
        }
    }
}
