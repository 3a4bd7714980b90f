using Fossil.Models.Tests.Gguf;
using Fossil.TestData;

namespace Fossil.Models.Tests.Training;

/// <summary>The word-problem runs that PEFT made, by their first steps; all of them: benchmarks/SmolLM2, command "word-problems".</summary>
public sealed class SmolLM2WordProblemTests
{
    private const int Steps = 3;

    public static TheoryData<string> Runs()
    {
        var runs = new TheoryData<string>();
        if (DataFolders.Models is not null) foreach (var name in new WordProblemRuns(SmolLM2.Folder).Names) runs.Add(name);
        if (runs.Count == 0) runs.Add("(no models)");
        return runs;
    }

    [SkippableTheory, MemberData(nameof(Runs))]
    public void First_steps_have_PEFTs_losses_and_norms(string name)
    {
        DataFolders.RequireModels();
        foreach (var step in new WordProblemRuns(SmolLM2.Folder).Take(name, Steps))
        {
            Assert.InRange(step.Loss, 0, WordProblemRuns.LossBar);
            Assert.InRange(step.Norm, 0, WordProblemRuns.NormBar);
        }
    }
}
