namespace Fossil.Serialization;

/// <summary>What is wrong with a safetensors file, or with what was asked of it.</summary>
public enum SafetensorsError
{
    /// <summary>The file is shorter than the eight bytes that hold the header's length.</summary>
    FileTooShort,

    /// <summary>The header claims more than the 100 MB that the format allows.</summary>
    HeaderTooLarge,

    /// <summary>The header claims to be longer than the file.</summary>
    HeaderTruncated,

    /// <summary>The header is not UTF-8.</summary>
    InvalidUtf8,

    /// <summary>The header is not a JSON object.</summary>
    InvalidJson,

    /// <summary>The header's JSON is nested too deeply.</summary>
    TooDeep,

    /// <summary><c>__metadata__</c> is not an object of strings.</summary>
    InvalidMetadata,

    /// <summary>A name occurs twice.</summary>
    DuplicateName,

    /// <summary>A tensor's description lacks a field, or one has the wrong type.</summary>
    InvalidTensorInfo,

    /// <summary>A dtype that the format does not know.</summary>
    UnknownDtype,

    /// <summary>A dimension is negative or not a whole number, or there are more than 64 of them.</summary>
    InvalidShape,

    /// <summary>The number of bytes that shape and dtype ask for overflows.</summary>
    ShapeOverflow,

    /// <summary>Offsets that are negative, reversed or not whole numbers.</summary>
    InvalidOffsets,

    /// <summary>The offsets span another number of bytes than shape and dtype ask for.</summary>
    SizeMismatch,

    /// <summary>A tensor begins before the previous one ends.</summary>
    Overlap,

    /// <summary>Bytes between two tensors belong to none.</summary>
    Gap,

    /// <summary>A tensor ends after the end of the file.</summary>
    DataTruncated,

    /// <summary>Bytes after the last tensor belong to none.</summary>
    TrailingData,

    /// <summary>The file has no tensor of that name.</summary>
    TensorNotFound,

    /// <summary>The dtype is known to the format, but libtorch cannot hold it (or the other way round).</summary>
    UnsupportedDtype,

    /// <summary>The tensor to load into has another shape.</summary>
    ShapeMismatch,

    /// <summary>A tensor cannot be written under that name.</summary>
    InvalidName,
}

/// <summary>A safetensors file is damaged, or does not have what was asked of it.</summary>
public sealed class SafetensorsException : FossilException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="error">The kind of error.</param>
    /// <param name="path">The file; null where there is none.</param>
    /// <param name="message">What is wrong, and what to do.</param>
    /// <param name="innerException">What the error was found by.</param>
    public SafetensorsException(SafetensorsError error, string? path, string message, Exception? innerException = null)
        : base(path is null ? message : $"'{path}': {message}", innerException)
    {
        Error = error;
        Path = path;
    }

    /// <summary>The kind of error.</summary>
    public SafetensorsError Error { get; }

    /// <summary>The file; null where there is none.</summary>
    public string? Path { get; }
}
