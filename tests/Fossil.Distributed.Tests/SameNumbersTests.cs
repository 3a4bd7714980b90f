namespace Fossil.Distributed.Tests;

/// <summary>n ranks with batches of b compute what one process with batches of n·b computes; all end with the same bits, in each run and with each implementation.</summary>
public sealed class SameNumbersTests
{
    private static readonly Lazy<Dictionary<string, TrainingRuns.Outcome>> Alone = new(() => TrainingRuns.All.ToDictionary(run => run.Key, run => TrainingRuns.Run(run.Value, 1)));

    public static TheoryData<string, int> Jobs => new() { { "openmpi", 2 }, { "openmpi", 4 }, { "mpich", 2 }, { "mpich", 4 } };

    [SkippableTheory]
    [MemberData(nameof(Jobs))]
    public void Losses_gradients_evaluations_and_parameters_are_those_of_one_process(string implementation, int ranks)
    {
        var job = Done(implementation, ranks);
        foreach (var (name, alone) in Alone.Value)
        {
            var outcome = TrainingRuns.Outcome.Of(job.Value(0, name));
            var tolerance = TrainingRuns.All[name] switch { { Dtype: TorchSharp.torch.ScalarType.Float64 } => 1e-10, { Hook: Training.DdpCommHook.Bf16 } => 2e-2, _ => 2e-5 };
            AssertClose(alone.Losses, outcome.Losses, tolerance, $"{name}: losses");
            AssertClose(alone.Norms, outcome.Norms, tolerance, $"{name}: norms of gradients");
            AssertClose(alone.Evaluations, outcome.Evaluations, tolerance, $"{name}: evaluations");
            AssertClose(alone.Values, outcome.Values, tolerance, $"{name}: parameters");
            Assert.Equal(alone.Tokens, outcome.Tokens);
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Jobs))]
    public void All_ranks_have_the_same_bits_and_a_second_run_too(string implementation, int ranks)
    {
        var job = Done(implementation, ranks);
        foreach (var name in TrainingRuns.All.Keys)
        {
            for (var rank = 1; rank < ranks; rank++) Assert.Equal(job.Value(0, $"hash of {name}"), job.Value(rank, $"hash of {name}"));
        }

        Assert.Equal(job.Value(0, "hash of dora float32"), job.Value(0, "hash of dora float32 again"));
    }

    [SkippableTheory]
    [InlineData(2)]
    [InlineData(4)]
    public void Open_MPI_and_MPICH_give_the_same_bits(int ranks)
    {
        var (one, other) = (Done("openmpi", ranks), Done("mpich", ranks));
        foreach (var name in TrainingRuns.All.Keys) Assert.Equal(one.Value(0, $"hash of {name}"), other.Value(0, $"hash of {name}"));
    }

    [SkippableTheory]
    [MemberData(nameof(Jobs))]
    public void At_least_half_of_the_bytes_begin_to_be_summed_before_the_backward_pass_ends(string implementation, int ranks)
    {
        var job = Done(implementation, ranks);
        foreach (var name in new[] { "lora float64", "dora float32", "bfloat16 travels" })
        {
            var share = TrainingRuns.Outcome.Of(job.Value(0, name)).OverlappedShare;
            Assert.True(share >= 0.5, $"{name}: {share:P0}");
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Jobs))]
    public void As_bfloat16_half_of_the_bytes_travel(string implementation, int ranks)
    {
        var job = Done(implementation, ranks);
        foreach (var (name, bytes) in new[] { ("bfloat16 travels", 2), ("dora float32", 4) })
        {
            // Each rank sends what it does not sum itself, and its sums to the others.
            var outcome = TrainingRuns.Outcome.Of(job.Value(0, name));
            var expected = outcome.Values.Length * bytes * 2.0 * (ranks - 1) / ranks;
            Assert.InRange(outcome.SentBytes, 0.9 * expected, 1.3 * expected);
        }
    }

    private static Mpirun.Job Done(string implementation, int ranks)
    {
        var job = Mpirun.Once(implementation, ranks, nameof(TrainingScenario));
        Assert.True(job.Process.ExitCode == 0, job.Output);
        return job;
    }

    private static void AssertClose(double[] expected, double[] actual, double tolerance, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        var scale = expected.Max(Math.Abs);
        var distance = expected.Zip(actual, (one, other) => Math.Abs(one - other)).Max() / scale;
        Assert.True(distance <= tolerance, $"{what} are {distance:E2} off, {tolerance:E0} is allowed.");
    }
}
