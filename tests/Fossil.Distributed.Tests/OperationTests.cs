namespace Fossil.Distributed.Tests;

/// <summary>What the ranks tell each other, with the ABI of each implementation.</summary>
public sealed class OperationTests
{
    public static TheoryData<string> Implementations => [.. Mpirun.Implementations];

    [SkippableTheory]
    [MemberData(nameof(Implementations))]
    public void Operations_give_what_MPI_promises(string implementation)
    {
        var job = Mpirun.Once(implementation, 3, nameof(BasicScenario));
        Assert.True(job.Process.ExitCode == 0, job.Output);
        for (var rank = 0; rank < 3; rank++)
        {
            Assert.Equal("3", job.Value(rank, "size"));
            Assert.StartsWith(implementation == "mpich" ? "MPICH" : "Open MPI", job.Value(rank, "library"));
            Assert.Equal("0 1.5 3", job.Value(rank, "all gather"));
            Assert.Equal("|bbb|cccccc", job.Value(rank, "texts"));
            Assert.Equal("from rank 0", job.Value(rank, "broadcast"));
            Assert.Equal(rank switch { 0 => "0 100 200", 1 => "1 2 101 102 201 202", _ => "3 4 5 103 104 105 203 204 205" }, job.Value(rank, "all to all"));
            Assert.Equal("", job.Value(rank, "roll call"));
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Implementations))]
    public void A_null_reference_is_caught_after_MPI_has_started(string implementation)
    {
        var job = Mpirun.Once(implementation, 3, nameof(BasicScenario));
        for (var rank = 0; rank < 3; rank++) Assert.Equal("caught", job.Value(rank, "null reference"));
    }

    [SkippableTheory]
    [MemberData(nameof(Implementations))]
    public void What_fails_on_one_rank_is_named_on_the_others(string implementation)
    {
        var job = Mpirun.Once(implementation, 3, nameof(BasicScenario));
        Assert.Equal("InvalidOperationException: nothing left", job.Value(1, "together"));
        foreach (var rank in new[] { 0, 2 }) Assert.Equal("RankFailedException: Rank 1 failed: nothing left", job.Value(rank, "together"));
    }
}
