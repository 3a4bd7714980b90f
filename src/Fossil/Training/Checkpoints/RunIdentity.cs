namespace Fossil.Training;

/// <summary>What decides which examples each step sees. A run is resumed only where all of it is the same.</summary>
internal sealed record RunIdentity(string Data, string DataFingerprint, int Examples, int BatchSize, int GradientAccumulationSteps, int Seed, bool Shuffle)
{
    /// <summary>Throws where the run of <paramref name="checkpoint"/> was another one.</summary>
    /// <exception cref="ResumeMismatchException">Names what differs.</exception>
    public void Require(RunIdentity checkpoint, string path)
    {
        if (DataFingerprint != checkpoint.DataFingerprint)
        {
            throw new ResumeMismatchException(
                $"The data has changed since {path} was written: {checkpoint.Data} had {checkpoint.Examples} examples with hash {Short(checkpoint.DataFingerprint)}, {Data} has {Examples} with hash {Short(DataFingerprint)}. "
                + "Restore the data (and the tokenizer and maximal length) to resume, or start a new run in another folder.");
        }

        Compare(nameof(BatchSize), BatchSize, checkpoint.BatchSize);
        Compare(nameof(GradientAccumulationSteps), GradientAccumulationSteps, checkpoint.GradientAccumulationSteps);
        Compare(nameof(Seed), Seed, checkpoint.Seed);
        Compare(nameof(Shuffle), Shuffle, checkpoint.Shuffle);

        static string Short(string fingerprint) => fingerprint.Length > 12 ? fingerprint[..12] : fingerprint;

        void Compare<T>(string option, T now, T before)
        {
            if (!Equals(now, before)) throw new ResumeMismatchException($"{nameof(TrainingArguments)}.{option} is {now}, but {path} was written with {before}: the steps would see other data. Set it back to resume, or start a new run in another folder.");
        }
    }
}
