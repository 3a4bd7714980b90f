using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Tests.Training;

/// <summary>Batches of which nothing counts in the loss: the mean over nothing is no number, and none comes of them.</summary>
public sealed class LossItemsTests
{
    private static readonly TrainingArguments Arguments = new() { LearningRate = 0.01, BatchSize = 1, MaxSteps = 6, LoggingSteps = 1, Shuffle = false, LearningRateScheduler = LearningRateSchedulerType.Constant };

    [Fact]
    public void An_empty_batch_of_a_step_changes_nothing()
    {
        // Pairs of an empty and a full batch, beside the full ones alone.
        var values = new[] { true, false }.Select(withEmpty =>
        {
            using var model = new TinyLanguageModel();
            var result = Train(model, Data(withEmpty ? i => i % 2 == 0 : _ => false, withEmpty ? 24 : 12, withEmpty ? 2 : 1), Arguments with { GradientAccumulationSteps = withEmpty ? 2 : 1 });
            Assert.Equal(0, result.State.SkippedSteps);
            Assert.All(result.State.Logs, log => Assert.True(double.IsFinite(log.Loss)));
            return model.Values();
        }).ToList();
        Assert.Equal(values[1], values[0]);
    }

    [Fact]
    public void A_step_of_empty_batches_is_left_out_and_counted()
    {
        using var model = new TinyLanguageModel();
        var result = Train(model, Data(i => i is 1 or 4, 12), Arguments);
        Assert.Equal((6, 2), (result.State.GlobalStep, result.State.SkippedSteps));
        Assert.All(model.Values(), value => Assert.True(float.IsFinite(value)));
        Assert.Equal([false, true, false, false, true, false], result.State.Logs.Select(log => double.IsNaN(log.Loss)));
    }

    [Theory]
    [InlineData(6)]
    [InlineData(100)]
    public void Data_without_anything_to_learn_are_an_error(int steps)
    {
        using var model = new TinyLanguageModel();
        Assert.Contains("12 examples", Assert.Throws<NoLossItemsException>(() => Train(model, Data(_ => true, 12), Arguments with { MaxSteps = steps })).Message);
    }

    [Fact]
    public void An_evaluation_leaves_empty_batches_out()
    {
        using var model = new TinyLanguageModel();
        double Evaluate(ITrainingData<TokenBatch> data) => new Trainer<TokenBatch>(new TrainableModule(model), model.Loss, Arguments with { EvalBatchSize = 1 }, data, data).Evaluate();
        var mixed = Evaluate(Data(i => i % 2 == 0, 24, 2));
        Assert.Equal(Evaluate(Data(_ => false, 12)), mixed, 6);
        Assert.Throws<NoLossItemsException>(() => Evaluate(Data(_ => true, 3)));
    }

    [Fact]
    public void The_loss_of_an_empty_batch_is_an_error()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyLanguageModel();
        using var batch = Data(_ => true, 2).GetBatch([0, 1]);
        Assert.Throws<NoLossItemsException>(() => model.Loss(batch));
    }

    private static TrainingResult Train(TinyLanguageModel model, ITrainingData<TokenBatch> data, TrainingArguments arguments) =>
        new Trainer<TokenBatch>(new TrainableModule(model), model.Loss, arguments, data).Train();

    private static Masked Data(Func<int, bool> isEmpty, int count, int every = 1) => new(isEmpty, count, every);

    /// <summary>Sequences of which some have no target; the others are the same whatever lies between them.</summary>
    private sealed class Masked(Func<int, bool> isEmpty, int count, int every) : ITrainingData<TokenBatch>
    {
        public int Count => count;

        public string Description => "masked";

        public string Fingerprint => $"{count}";

        public TokenBatch GetBatch(IReadOnlyList<int> indices)
        {
            long[] ids = [.. indices.SelectMany(index => Enumerable.Range(0, 8).Select(i => (long)((index / every * 7) + (i * 3)) % TinyLanguageModel.Vocabulary))];
            long[] positions = [.. indices.Index().Where(entry => !isEmpty(entry.Item)).SelectMany(entry => Enumerable.Range(0, 7).Select(i => (long)(entry.Index * 8) + i))];
            long[] targets = [.. positions.Select(position => ids[position + 1])];
            return new(tensor(ids, [indices.Count, 8]), tensor(positions), tensor(targets), ids.Length);
        }
    }
}
