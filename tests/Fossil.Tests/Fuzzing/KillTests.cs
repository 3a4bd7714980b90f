using Fossil.Fuzz;
using Fossil.Serialization;
using Fossil.TestData;
using Xunit.Abstractions;

namespace Fossil.Tests.Fuzzing;

public class KillTests(ITestOutputHelper output)
{
    private const int Times = 8;

    [Fact]
    public void A_killed_process_leaves_the_last_complete_adapter()
    {
        using var folder = new TemporaryFolder();
        var random = new Random(1);
        for (var count = 0; count < Times; count++)
        {
            var reported = SaveLoop.StartAndKill(folder.Path, random);
            output.WriteLine($"killed after {reported} saves, leaving {string.Join(", ", Directory.EnumerateFiles(folder.Path).Select(Path.GetFileName))}");
            SaveLoop.Check(folder.Path, reported);
        }

        // The next save takes away what the killed processes left.
        AdapterFile.SaveFolder(folder.Path, new FossilConfig(), []);
        Assert.Equal([AdapterConfig.FileName, AdapterFile.FileName], Directory.EnumerateFiles(folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_killed_run_leaves_the_last_complete_checkpoint()
    {
        using var folder = new TemporaryFolder();
        var random = new Random(2);
        for (var count = 0; count < Times / 2; count++)
        {
            var reported = SaveLoop.StartAndKill(folder.Path, random, CheckpointLoop.Command);
            output.WriteLine($"killed after step {reported}, leaving {string.Join(", ", Directory.EnumerateDirectories(folder.Path).Select(Path.GetFileName))}");
            CheckpointLoop.Check(folder.Path, reported);
        }

        // The check resumes the run, and its own checkpoint is the last of the two that are kept.
        Assert.Equal(2, Directory.EnumerateFileSystemEntries(folder.Path).Count());
    }
}
