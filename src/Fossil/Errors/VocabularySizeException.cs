namespace Fossil;

/// <summary>An adapter's file holds tensors for another number of tokens than the model has: it was trained on a model whose vocabulary was resized, or the model's was.</summary>
public sealed class VocabularySizeException : AdapterFileException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="path">The file.</param>
    /// <param name="message">What is wrong, and what to do.</param>
    /// <param name="fileSize">Tokens in the file.</param>
    /// <param name="modelSize">Tokens in the model.</param>
    public VocabularySizeException(string path, string message, long fileSize, long modelSize)
        : base(path, message) => (FileSize, ModelSize) = (fileSize, modelSize);

    /// <summary>How many tokens the file's tensors are for.</summary>
    public long FileSize { get; }

    /// <summary>How many tokens the model has.</summary>
    public long ModelSize { get; }
}
