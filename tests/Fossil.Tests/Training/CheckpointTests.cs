using System.Text;
using Fossil.Training;

namespace Fossil.Tests.Training;

public sealed class CheckpointTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("fossil-checkpoint-");
    private readonly TokenData data = TinyLanguageModel.Data();

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void TheNewestAreKept()
    {
        Train(Arguments with { SaveSteps = 2, SaveTotalLimit = 2 });
        Assert.Equal(["checkpoint-8", "checkpoint-9"], Names());
    }

    [Fact]
    public void ACheckpointHoldsParametersOptimizerAndState()
    {
        Train(Arguments);
        Assert.Equal(["model.safetensors", "optimizer.safetensors", "trainer_state.json"], Directory.GetFiles(Checkpoint(9)).Select(Path.GetFileName).Order());
        Assert.Contains("\"data_fingerprint\": \"" + data.Fingerprint, File.ReadAllText(Path.Combine(Checkpoint(9), "trainer_state.json")));
    }

    [Fact]
    public void ResumingAFinishedRunTakesNoStep()
    {
        var first = Train(Arguments);
        var again = Train(Arguments, resume: true);
        Assert.Equal(first.State.TokensSeen, again.State.TokensSeen);
        Assert.Equal(TrainingOutcome.Completed, again.Outcome);
    }

    [Fact]
    public void ResumingWithoutACheckpointBegins() => Assert.Equal(9, Train(Arguments, resume: true).State.GlobalStep);

    [Fact]
    public void ANewRunDoesNotOverwriteAnOldOne()
    {
        Train(Arguments);
        Assert.Contains("checkpoint-9", Assert.Throws<OutputDirectoryException>(() => Train(Arguments)).Message);
    }

    [Fact]
    public void OtherDataIsNotResumed()
    {
        Train(Arguments with { MaxSteps = 4 });
        var exception = Assert.Throws<ResumeMismatchException>(() => Train(Arguments, resume: true, TinyLanguageModel.Data(seed: 77)));
        Assert.Contains("data has changed", exception.Message);
        Assert.Equal(["checkpoint-4"], Names());
    }

    [Theory]
    [InlineData("BatchSize")]
    [InlineData("GradientAccumulationSteps")]
    [InlineData("Seed")]
    [InlineData("Shuffle")]
    public void OptionsThatChangeTheDataOfAStepAreNotResumed(string option)
    {
        Train(Arguments with { MaxSteps = 4 });
        var changed = option switch
        {
            "BatchSize" => Arguments with { BatchSize = 3 },
            "GradientAccumulationSteps" => Arguments with { GradientAccumulationSteps = 2 },
            "Seed" => Arguments with { Seed = 1 },
            _ => Arguments with { Shuffle = false },
        };
        Assert.Contains(option, Assert.Throws<ResumeMismatchException>(() => Train(changed, resume: true)).Message);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("optimizer.safetensors")]
    [InlineData("trainer_state.json")]
    public void DamageIsFound(string file)
    {
        Train(Arguments with { MaxSteps = 4 });
        var path = Path.Combine(Checkpoint(4), file);
        var bytes = File.ReadAllBytes(path);
        bytes[^2] ^= 1;
        File.WriteAllBytes(path, bytes);
        Assert.Throws<CheckpointReadException>(() => Train(Arguments, resume: true));
        File.Delete(path);
        Assert.Throws<CheckpointReadException>(() => Train(Arguments, resume: true));
    }

    [Fact]
    public void WhatAKilledProcessLeftIsRemoved()
    {
        Directory.CreateDirectory(Path.Combine(folder.FullName, ".checkpoint-3-4711"));
        File.WriteAllText(Path.Combine(folder.FullName, ".checkpoint-3-4711", "model.safetensors"), "half");
        Train(Arguments);
        Assert.Equal(["checkpoint-9"], Names());
    }

    [Fact]
    public void AFolderThatCannotBeWrittenIsNamedBeforeTheFirstStep()
    {
        var file = Path.Combine(folder.FullName, "a file");
        File.WriteAllText(file, "");
        Assert.Contains(file, Assert.Throws<OutputDirectoryException>(() => Train(Arguments with { OutputDirectory = Path.Combine(file, "out") })).Message);
    }

    [SkippableFact]
    public void AReadOnlyFolderIsNamedBeforeTheFirstStep()
    {
        // The kernel's own read-only file system refuses root as well.
        Skip.IfNot(Directory.Exists("/sys/kernel"), "no /sys");
        Assert.Contains("/sys/kernel", Assert.Throws<OutputDirectoryException>(() => Train(Arguments with { OutputDirectory = "/sys/kernel" })).Message);
    }

    [Fact]
    public void HalfALineOfTheLogIsDropped()
    {
        var log = Path.Combine(folder.FullName, "log.jsonl");
        Train(Arguments with { MaxSteps = 4 }, callbacks: [new JsonLinesLog(log)]);
        File.AppendAllText(log, "{\"step\":6,\"loss\":1}\n{\"ste", Encoding.UTF8);
        Train(Arguments, resume: true, callbacks: [new JsonLinesLog(log)]);
        Assert.Equal(Enumerable.Range(1, 9), File.ReadLines(log).Select(line => System.Text.Json.Nodes.JsonNode.Parse(line)!["step"]!.GetValue<int>()));
    }

    private TrainingArguments Arguments => new() { OutputDirectory = folder.FullName, MaxSteps = 9, BatchSize = 4, LoggingSteps = 1, LearningRate = 0.01 };

    private TrainingResult Train(TrainingArguments arguments, bool resume = false, TokenData? other = null, params TrainerCallback[] callbacks)
    {
        using var model = new TinyLanguageModel();
        return new Trainer<TokenBatch>(new TrainableModule(model), model.Loss, arguments, other ?? data, callbacks: callbacks).Train(resume);
    }

    private string Checkpoint(int step) => Path.Combine(folder.FullName, $"checkpoint-{step}");

    private IEnumerable<string> Names() => folder.GetFileSystemInfos().Select(entry => entry.Name).Order();
}
