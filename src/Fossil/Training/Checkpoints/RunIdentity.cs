using System.Text.Json.Serialization;

namespace Fossil.Training;

/// <summary>What decides which examples each step sees. A run is resumed only where all of it is the same, but for the number of ranks: then they share the batches that the run began with.</summary>
internal sealed record RunIdentity(string Data, string DataFingerprint, int Examples, int BatchSize, int GradientAccumulationSteps, int Seed, bool Shuffle,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Ranks = null)
{
    /// <summary>Examples of one forward pass of all ranks together.</summary>
    [JsonIgnore]
    public int GlobalBatchSize => BatchSize * (Ranks ?? 1);

    /// <summary>The run of a checkpoint, which goes on. Throws where it was another one.</summary>
    /// <exception cref="ResumeMismatchException">Names what differs.</exception>
    public RunIdentity Resume(RunIdentity checkpoint, string path)
    {
        if (DataFingerprint != checkpoint.DataFingerprint)
        {
            throw new ResumeMismatchException(
                $"The data has changed since {path} was written: {checkpoint.Data} had {checkpoint.Examples} examples with hash {Short(checkpoint.DataFingerprint)}, {Data} has {Examples} with hash {Short(DataFingerprint)}. "
                + "Restore the data (and the tokenizer and maximal length) to resume, or start a new run in another folder.");
        }

        if (GlobalBatchSize != checkpoint.GlobalBatchSize) Compare(nameof(BatchSize), BatchSize, checkpoint.BatchSize);
        Compare(nameof(GradientAccumulationSteps), GradientAccumulationSteps, checkpoint.GradientAccumulationSteps);
        Compare(nameof(Seed), Seed, checkpoint.Seed);
        Compare(nameof(Shuffle), Shuffle, checkpoint.Shuffle);
        return checkpoint;

        static string Short(string fingerprint) => fingerprint.Length > 12 ? fingerprint[..12] : fingerprint;

        void Compare<T>(string option, T now, T before)
        {
            if (!Equals(now, before)) throw new ResumeMismatchException($"{nameof(TrainingArguments)}.{option} is {now}, but {path} was written with {before}: the steps would see other data. Set it back to resume, or start a new run in another folder.");
        }
    }
}
