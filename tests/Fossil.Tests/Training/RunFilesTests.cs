using System.Text.RegularExpressions;
using Fossil.Training;

namespace Fossil.Tests.Training;

/// <summary>The text of the files of a run: other versions of the library, and other programs, read them.</summary>
public sealed partial class RunFilesTests : IDisposable
{
    // The files come in the order in which the file system lists them.
    private const string Files = "\"files\": {\n";

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("fossil-run-files-");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void LinesOfTheLog()
    {
        var path = Path.Combine(folder.FullName, "log.jsonl");
        var log = new JsonLinesLog(path);
        log.OnLog(new TrainerState(), new TrainingLog(3, 12, 0.25, double.NaN, 1e-5, double.PositiveInfinity, 0.125, 4096.5, 1, 2.5e20, 1L << 40));
        log.OnEvaluate(new TrainerState(), new EvaluationLog(4, 1.0 / 3, 0, 1.5));
        Assert.Equal(
            """
            {"step":3,"total_steps":12,"epoch":0.25,"loss":"NaN","learning_rate":1E-05,"gradient_norm":"Infinity","step_seconds":0.125,"tokens_per_second":4096.5,"seconds_elapsed":1,"seconds_left":2.5E+20,"memory_bytes":1099511627776}
            {"step":4,"epoch":0.3333333333333333,"eval_loss":0,"eval_perplexity":1,"eval_seconds":1.5}

            """.ReplaceLineEndings("\n"),
            File.ReadAllText(path));
    }

    [Fact]
    public void StateOfACheckpoint()
    {
        using var model = new TinyLanguageModel();
        var data = TinyLanguageModel.Data();
        var arguments = new TrainingArguments { OutputDirectory = folder.FullName, MaxSteps = 2, BatchSize = 4, LoggingSteps = 2, LearningRate = 0.01 };
        new Trainer<TokenBatch>(new TrainableModule(model), model.Loss, arguments, data, data).Train();
        var text = File.ReadAllText(Path.Combine(folder.FullName, "checkpoint-2", "trainer_state.json")).ReplaceLineEndings("\n");
        Assert.Equal(
            """
            {
              "format_version": 1,
              "run": {
                "data": "numbers",
                "data_fingerprint": "*",
                "examples": 250,
                "batch_size": 4,
                "gradient_accumulation_steps": 1,
                "seed": 42,
                "shuffle": true
              },
              "state": {
                "global_step": 2,
                "total_steps": 2,
                "steps_per_epoch": 63,
                "tokens_seen": 128,
                "skipped_steps": 0,
                "pending_loss": *,
                "pending_steps": 0,
                "best_loss": *,
                "best_step": 2,
                "evaluations_without_improvement": 0,
                "logs": [
                  {
                    "step": 2,
                    "total_steps": 2,
                    "epoch": 0.031746031746031744,
                    "loss": *,
                    "learning_rate": 0.005,
                    "gradient_norm": *,
                    "step_seconds": *,
                    "tokens_per_second": *,
                    "seconds_elapsed": *,
                    "seconds_left": *,
                    "memory_bytes": *
                  }
                ],
                "evaluations": [
                  {
                    "step": 2,
                    "epoch": 0.031746031746031744,
                    "loss": *,
                    "seconds": *,
                    "perplexity": *
                  }
                ],
                "epoch": 0.031746031746031744
              },
              "files": {

            """.ReplaceLineEndings("\n"),
            Hash().Replace(Measured().Replace(text[..(text.IndexOf(Files, StringComparison.Ordinal) + Files.Length)], "*"), "*"));
    }

    /// <summary>What differs between machines and runs.</summary>
    [GeneratedRegex("""(?<="(loss|best_loss|pending_loss|perplexity|gradient_norm|step_seconds|tokens_per_second|seconds_elapsed|seconds_left|seconds|memory_bytes)": )[^,\n]+""")]
    private static partial Regex Measured();

    [GeneratedRegex("[0-9a-f]{64}")]
    private static partial Regex Hash();
}
