namespace Fossil.Training;

/// <summary>Some examples, as tensors that a loss function takes.</summary>
public interface ITrainingBatch : IDisposable
{
    /// <summary>Tokens (or other units) that the model reads; for the throughput.</summary>
    long Tokens { get; }

    /// <summary>Over how many items the loss of this batch is a mean; batches of one step are weighted by it.</summary>
    long LossItems { get; }
}

/// <summary>Numbered examples that can be put together to batches, in any order.</summary>
/// <typeparam name="TBatch">The batches.</typeparam>
public interface ITrainingData<out TBatch>
    where TBatch : ITrainingBatch
{
    /// <summary>Number of examples.</summary>
    int Count { get; }

    /// <summary>Where the examples come from, for messages.</summary>
    string Description { get; }

    /// <summary>A hash of all examples: a run is resumed only on the same data.</summary>
    string Fingerprint { get; }

    /// <summary>The batch of the examples with these numbers.</summary>
    TBatch GetBatch(IReadOnlyList<int> indices);
}
