namespace Fossil.Models.Gguf;

/// <summary>Whether a model keeps the matrices of a GGUF file as blocks.</summary>
/// <param name="Keeps">Whether it does; otherwise they are dequantised.</param>
/// <param name="Mapped">Whether they are the file's own memory, not a copy.</param>
internal readonly record struct KeptBlocks(bool Keeps, bool Mapped)
{
    /// <summary>What a caller asked for.</summary>
    /// <exception cref="ArgumentException">There would be nothing to copy.</exception>
    public static KeptBlocks Of(bool keepQuantized, bool mapped) => keepQuantized || mapped ? new(keepQuantized, mapped)
        : throw new ArgumentException("mapped: false asks for a copy of the blocks, and without keepQuantized: true none are kept.", nameof(mapped));
}
