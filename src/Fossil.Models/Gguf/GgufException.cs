namespace Fossil.Models.Gguf;

/// <summary>What is wrong with a GGUF file, or with what was asked of it.</summary>
public enum GgufError
{
    /// <summary>The file does not begin with the format's magic number.</summary>
    NotGguf,

    /// <summary>A version of the format other than 2 and 3.</summary>
    UnsupportedVersion,

    /// <summary>The file is written for big-endian machines.</summary>
    BigEndian,

    /// <summary>The file ends inside its header.</summary>
    Truncated,

    /// <summary>The header claims more entries than the file has room for.</summary>
    CountTooLarge,

    /// <summary>A string or array claims to be longer than the file.</summary>
    LengthTooLarge,

    /// <summary>A string is not UTF-8.</summary>
    InvalidUtf8,

    /// <summary>A truth value is neither 0 nor 1.</summary>
    InvalidBoolean,

    /// <summary>A metadata value of a type that the format does not know.</summary>
    UnknownValueType,

    /// <summary>Arrays are nested too deeply.</summary>
    TooDeep,

    /// <summary>A metadata key or a tensor's name is empty or occurs twice.</summary>
    InvalidName,

    /// <summary><c>general.alignment</c> is no power of two, or is no unsigned 32-bit number.</summary>
    InvalidAlignment,

    /// <summary>A tensor of a type that the format does not know.</summary>
    UnknownTensorType,

    /// <summary>A tensor has no or more than four dimensions, or its rows are no whole number of blocks.</summary>
    InvalidShape,

    /// <summary>The number of bytes that shape and type ask for overflows.</summary>
    ShapeOverflow,

    /// <summary>A tensor's offset is no multiple of the alignment.</summary>
    MisalignedOffset,

    /// <summary>A tensor begins before another one ends.</summary>
    Overlap,

    /// <summary>A tensor ends after the end of the file.</summary>
    DataTruncated,

    /// <summary>The file has no tensor of that name.</summary>
    TensorNotFound,

    /// <summary>The format knows the tensor's type, but this reader does not dequantise it.</summary>
    UnsupportedTensorType,

    /// <summary>The tensor to load into has another shape.</summary>
    ShapeMismatch,

    /// <summary>A metadata key that is needed is not there.</summary>
    KeyNotFound,

    /// <summary>A metadata value has another type or range than its key asks for.</summary>
    InvalidValue,

    /// <summary>The file describes a model (or something else) that this library does not implement.</summary>
    UnsupportedModel,

    /// <summary>The model is in several files, and one is not there.</summary>
    MissingPart,

    /// <summary>The model is in several files, and they do not belong together.</summary>
    MixedParts,

    /// <summary>Blocks of a tensor stand for NaN or infinity.</summary>
    InvalidBlock,
}

/// <summary>A GGUF file is damaged, or does not have what was asked of it.</summary>
public sealed class GgufException : FossilException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="error">The kind of error.</param>
    /// <param name="path">The file; null where there is none.</param>
    /// <param name="message">What is wrong, and what to do.</param>
    /// <param name="innerException">What the error was found by.</param>
    public GgufException(GgufError error, string? path, string message, Exception? innerException = null)
        : base(path is null ? message : $"'{path}': {message}", innerException)
    {
        Error = error;
        Path = path;
    }

    /// <summary>The kind of error.</summary>
    public GgufError Error { get; }

    /// <summary>The file; null where there is none.</summary>
    public string? Path { get; }
}
