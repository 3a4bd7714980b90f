using System.Globalization;

namespace Fossil.Distributed.Tests;

/// <summary>What is wrong on one rank is one decision, or one error with a name, on all.</summary>
public sealed class AgreementTests
{
    private const int Ranks = 2;

    public static TheoryData<string> Implementations => [.. Mpirun.Implementations];

    [SkippableTheory]
    [MemberData(nameof(Implementations))]
    public void What_differs_between_ranks_is_named_on_all_before_the_first_step(string implementation)
    {
        var job = Done(implementation);
        foreach (var rank in new[] { 0, 1 })
        {
            Assert.StartsWith("RanksDifferException: rank 1: TrainingArguments.LearningRate: 0.02, on rank 0 0.01.", job.Value(rank, "other option"));
            Assert.StartsWith("RanksDifferException: rank 1: the hash of the training data: ", job.Value(rank, "other data"));
            Assert.Matches("^RanksDifferException: rank 1: the configuration of adapter 'default': .*\"r\": 4.* on rank 0 .*\"r\": 8", job.Value(rank, "other shard size"));
            Assert.StartsWith("RanksDifferException: rank 1: the first values of ", job.Value(rank, "other base"));
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Implementations))]
    public void A_rank_that_throws_ends_the_run_on_all_and_is_named(string implementation)
    {
        var job = Done(implementation);
        Assert.Equal("InvalidOperationException: no loss today", job.Value(1, "loss that throws"));
        Assert.Equal("RankFailedException: Rank 1 failed: no loss today", job.Value(0, "loss that throws"));
        Assert.Equal("InvalidOperationException: the disk of reports is full", job.Value(0, "callback that throws"));
        Assert.Equal("RankFailedException: Rank 0 failed: the disk of reports is full", job.Value(1, "callback that throws"));
    }

    [SkippableTheory]
    [MemberData(nameof(Implementations))]
    public void A_loss_that_is_no_number_on_one_rank_is_the_same_decision_on_all(string implementation)
    {
        var job = Done(implementation);
        foreach (var rank in new[] { 0, 1 }) Assert.StartsWith("NonFiniteLossException: Step 3: the loss is NaN.", job.Value(rank, "loss that is no number"));
        Assert.StartsWith("Completed 5 1 ", job.Value(0, "skipped loss"));
        Assert.Equal(job.Value(0, "skipped loss"), job.Value(1, "skipped loss"));
    }

    [SkippableTheory]
    [MemberData(nameof(Implementations))]
    public void A_callback_of_rank_0_stops_all(string implementation)
    {
        var job = Done(implementation);
        foreach (var rank in new[] { 0, 1 }) Assert.StartsWith("Cancelled 3 0 ", job.Value(rank, "callback that stops"));
    }

    /// <summary>Its first gradient starts the reduction of its piece, its second comes too late.</summary>
    [SkippableTheory]
    [MemberData(nameof(Implementations))]
    public void A_layer_that_a_backward_pass_goes_through_more_often_than_at_first_is_summed_rightly(string implementation)
    {
        var job = Done(implementation);
        Assert.StartsWith("Completed 5 0 ", job.Value(0, "layer that is used twice later"));
        Assert.Equal(job.Value(0, "layer that is used twice later"), job.Value(1, "layer that is used twice later"));
    }

    [SkippableTheory]
    [InlineData("openmpi", 2)]
    [InlineData("mpich", 4)]
    public void A_loop_of_ones_own_needs_one_call(string implementation, int ranks)
    {
        var job = Mpirun.Once(implementation, ranks, nameof(LoopScenario));
        Assert.True(job.Process.ExitCode == 0, job.Output);
        foreach (var isOwn in new[] { true, false })
        {
            var name = LoopScenario.Name(isOwn);
            for (var rank = 1; rank < ranks; rank++) Assert.Equal(job.Value(0, name), job.Value(rank, name));
            var distance = LoopScenario.Train(isOwn).Zip(job.Value(0, name).Split(' '), (alone, text) => Math.Abs(alone - double.Parse(text, CultureInfo.InvariantCulture))).Max();
            Assert.True(distance < 1e-10, $"{name}: parameters are {distance:E2} off.");
        }

        for (var rank = 0; rank < ranks; rank++) Assert.Matches("^RanksDifferException: .*rank 1: the values of '.*lora_A.*'", job.Value(rank, "other start values"));
    }

    private static Mpirun.Job Done(string implementation)
    {
        var job = Mpirun.Once(implementation, Ranks, nameof(AgreementScenario));
        Assert.True(job.Process.ExitCode == 0, job.Output);
        return job;
    }
}
