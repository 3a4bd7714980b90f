namespace Fossil.Models.Tokenizers;

/// <summary>A tokenizer cannot be loaded: its file is malformed, or of a kind that is not supported.</summary>
public sealed class TokenizerException : FossilException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="path">The file; null where there is none.</param>
    /// <param name="message">What is wrong, and what to do.</param>
    /// <param name="innerException">What the error was found by.</param>
    public TokenizerException(string? path, string message, Exception? innerException = null)
        : base(path is null ? message : $"'{path}': {message}", innerException)
    {
        Path = path;
    }

    /// <summary>The file; null where there is none.</summary>
    public string? Path { get; }
}
