using System.Globalization;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Fuzz;

/// <summary>A training run that writes a checkpoint at each step, keeps two, and goes on where a killed one stopped; and the check of what it leaves behind.</summary>
internal static class CheckpointLoop
{
    public const string Command = "checkpoint-loop";
    private const int Width = 4096;

    /// <summary>Trains, and prints the number of each step whose checkpoint is complete.</summary>
    public static void Run(string folder) => Train(folder, new Reporter(goesOn: true));

    /// <summary>Checks that a run resumes from a complete checkpoint, which is <paramref name="reported"/> or the next.</summary>
    /// <exception cref="InvalidOperationException">It does not.</exception>
    public static void Check(string folder, int reported)
    {
        var reporter = new Reporter(goesOn: false);
        Train(folder, reporter);
        if (reporter.ResumedFrom is not { } step || (step != reported && step != reported + 1))
        {
            throw new InvalidOperationException($"The run in '{folder}' resumed from step {reporter.ResumedFrom}; the last complete checkpoint was of step {reported}.");
        }
    }

    private static void Train(string folder, Reporter reporter)
    {
        using var module = nn.Linear(Width, 1);
        var arguments = new TrainingArguments { OutputDirectory = folder, MaxSteps = int.MaxValue, BatchSize = 1, SaveSteps = 1, SaveTotalLimit = 2, LoggingSteps = int.MaxValue };
        new Trainer<Ones>(new TrainableModule(module), batch => module.forward(batch.Values).mean(), arguments, new Data(), callbacks: [reporter]).Train(resume: true);
    }

    private sealed class Reporter(bool goesOn) : TrainerCallback
    {
        public int? ResumedFrom { get; private set; }

        public override void OnTrainBegin(TrainerState state) => ResumedFrom = state.GlobalStep;

        public override bool OnStepEnd(TrainerState state) => goesOn;

        public override void OnSave(TrainerState state, string checkpoint)
        {
            if (!goesOn) return;
            Console.WriteLine(state.GlobalStep.ToString(CultureInfo.InvariantCulture));
            Console.Out.Flush();
        }
    }

    private sealed class Ones : ITrainingBatch
    {
        public Tensor Values { get; } = ones(1, Width).DetachFromDisposeScope();

        public long Tokens => Width;

        public long LossItems => 1;

        public void Dispose() => Values.Dispose();
    }

    private sealed class Data : ITrainingData<Ones>
    {
        public int Count => 1;

        public string Description => "ones";

        public string Fingerprint => "ones";

        public Ones GetBatch(IReadOnlyList<int> indices) => new();
    }
}
