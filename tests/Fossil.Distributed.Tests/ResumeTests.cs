using System.Globalization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Distributed.Tests;

/// <summary>What a checkpoint brings beside the parameters of adapters comes to all ranks.</summary>
public sealed class ResumeTests
{
    /// <summary>By as many ranks bit for bit; and one process alone resumes what two have begun.</summary>
    [SkippableFact]
    public void PiSSA_biases_and_whole_modules_are_resumed_on_all_ranks()
    {
        var job = Mpirun.Start("mpich", 2, nameof(ResumeScenario)).Wait();
        Assert.True(job.Process.ExitCode == 0, job.Output);
        foreach (var name in ResumeScenario.Configs.Keys)
        {
            var whole = job.Value(0, $"{name} whole");
            for (var rank = 0; rank < 2; rank++)
            {
                Assert.Equal(whole, job.Value(rank, $"{name} whole"));
                Assert.Equal(Loss(whole), Loss(job.Value(rank, $"{name} resumed")));
            }

            Assert.Equal(whole, job.Value(1, $"{name} resumed"));
            var folder = Path.Combine(job.Folder, name);
            foreach (var later in Directory.GetDirectories(folder, "checkpoint-*").Where(checkpoint => !checkpoint.EndsWith($"-{ResumeScenario.StopsAt}", StringComparison.Ordinal))) Directory.Delete(later, recursive: true);
            var alone = ResumeScenario.Train(name, folder, ResumeScenario.Steps);
            Assert.True(Distance(whole, alone) < 1e-10, $"{name}: one process comes {Distance(whole, alone):E2} off.");
        }
    }

    [Fact]
    public void Dropout_of_the_model_itself_is_named()
    {
        using var model = nn.Sequential(("first", nn.Linear(2, 2)), ("drop", nn.Dropout(0.1)), ("none", nn.Dropout(0)), ("more", nn.AlphaDropout(0.2)));
        Assert.Contains("own dropout ('drop' and 1 more)", Assert.Single(CollectedWarnings.During(() => OwnDropout.Report(model))), StringComparison.Ordinal);
        model.eval();
        Assert.Empty(CollectedWarnings.During(() => OwnDropout.Report(model)));
    }

    private static string Loss(string values) => values.Split(' ')[0];

    private static double Distance(string one, string other) => one.Split(' ').Zip(other.Split(' '), (a, b) => Math.Abs(double.Parse(a, CultureInfo.InvariantCulture) - double.Parse(b, CultureInfo.InvariantCulture))).Max();
}
