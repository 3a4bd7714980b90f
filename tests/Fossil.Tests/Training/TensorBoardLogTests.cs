using Fossil.TestData;
using Fossil.Training;

namespace Fossil.Tests.Training;

/// <summary>What is in the event files when a run is resumed.</summary>
public sealed class TensorBoardLogTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_resumed_run_drops_the_steps_that_it_takes_again()
    {
        Run(0, 1, 2, 3, 4);
        var killed = Directory.GetFiles(folder.Path).Single();
        File.AppendAllText(killed, "half a record");
        Run(2, 3);
        Assert.Equal([1L, 2], Steps(killed));
        Assert.Equal([1L, 2, 3], Directory.GetFiles(folder.Path).SelectMany(Steps).Order());
    }

    [Fact]
    public void A_new_run_leaves_the_files_of_others()
    {
        Run(0, 1, 2);
        var other = Directory.GetFiles(folder.Path).Single();
        var bytes = File.ReadAllBytes(other);
        new TensorBoardLog(folder.Path).OnTrainBegin(new TrainerState());
        Assert.Equal(bytes, File.ReadAllBytes(other));
    }

    [Theory]
    [InlineData(new byte[] { 1, 2, 3 })]
    [InlineData(new byte[] { 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 240, 255, 255, 255, 255, 255, 255, 127, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0 })]
    public void What_is_no_record_ends_a_file(byte[] rest)
    {
        Run(0, 1);
        var path = Directory.GetFiles(folder.Path).Single();
        var whole = File.ReadAllBytes(path);
        File.WriteAllBytes(path, [.. whole, .. rest]);
        new TensorBoardLog(folder.Path).OnTrainBegin(new TrainerState { GlobalStep = 1 });
        Assert.Equal(whole, File.ReadAllBytes(path));
    }

    private void Run(int resumedFrom, params int[] steps)
    {
        var log = new TensorBoardLog(folder.Path);
        log.OnTrainBegin(new TrainerState { GlobalStep = resumedFrom });
        foreach (var step in steps) log.OnEvaluate(new TrainerState(), new EvaluationLog(step, 0, step, 0));
    }

    private static IEnumerable<long> Steps(string path) => TensorBoardEvents.Read(path).Where(value => value.Tag == "eval/loss").Select(value => value.Step);
}
