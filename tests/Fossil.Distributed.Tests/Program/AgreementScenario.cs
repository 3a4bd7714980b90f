using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Distributed.Tests;

/// <summary>What is the same decision, or the same error, on all ranks; each part leaves the ranks in step for the next.</summary>
internal static class AgreementScenario
{
    private const int Steps = 5;

    public static void Run(RankResults results, string[] arguments)
    {
        var group = ProcessGroup.Current!;
        var isOther = group.Rank == group.Size - 1;
        var options = new TrainingArguments { MaxSteps = Steps, BatchSize = 4, LearningRate = 0.01, LoggingSteps = 1 };

        Record("other option", () => Train(isOther ? options with { LearningRate = 0.02 } : options));
        Record("other data", () => Train(options, data: TinyModel.Data(seed: isOther ? 6 : 5)));
        Record("other shard size", () => Train(options, config: new FossilConfig { TargetModules = ["up", "down"], ShardSize = isOther ? 4 : 8 }));
        Record("other base", () => Train(options, seed: isOther ? 2 : 1));
        Record("loss that throws", () => Train(options, loss: (model, batch, step) => isOther && step == 2 ? throw new InvalidOperationException("no loss today") : model.Loss(batch)));
        Record("loss that is no number", () => Train(options, loss: (model, batch, step) => isOther && step == 3 ? model.Loss(batch).mul(double.NaN) : model.Loss(batch)));
        Record("skipped loss", () => Train(options with { OnNonFiniteLoss = NonFiniteLossAction.Skip }, loss: (model, batch, step) => isOther && step == 3 ? model.Loss(batch).mul(double.NaN) : model.Loss(batch)));
        Record("layer that is used twice later", () => Train(options, loss: (model, batch, step) => model.Loss(batch, again: isOther && step >= 3)));
        Record("callback that stops", () => Train(options, callback: new StopAt(3)));
        Record("callback that throws", () => Train(options, callback: new ThrowAt(2)));

        void Record(string name, Func<string> run)
        {
            try
            {
                results.Add(name, run());
            }
            catch (Exception exception)
            {
                results.Add(name, $"{exception.GetType().Name}: {exception.Message}");
            }
        }
    }

    private static string Train(TrainingArguments options, TokenData? data = null, AdapterConfig? config = null, int seed = 1, Func<TinyModel, TokenBatch, int, Tensor>? loss = null, TrainerCallback? callback = null)
    {
        using var model = new TinyModel(seed);
        using var adapted = model.Attach(config);
        var calls = 0;
        var result = new Trainer<TokenBatch>(adapted, batch => loss is null ? model.Loss(batch) : loss(model, batch, ++calls), options, data ?? TinyModel.Data(), callbacks: callback is null ? [] : [callback]).Train();
        var sum = adapted.TrainableParameters().Sum(named => named.Parameter.detach().to(ScalarType.Float64).abs().sum().item<double>());
        return FormattableString.Invariant($"{result.Outcome} {result.State.GlobalStep} {result.State.SkippedSteps} {sum:R}");
    }

    private sealed class StopAt(int step) : TrainerCallback
    {
        public override bool OnStepEnd(TrainerState state) => state.GlobalStep < step;
    }

    private sealed class ThrowAt(int step) : TrainerCallback
    {
        public override bool OnStepEnd(TrainerState state) => state.GlobalStep < step ? true : throw new InvalidOperationException("the disk of reports is full");
    }
}
