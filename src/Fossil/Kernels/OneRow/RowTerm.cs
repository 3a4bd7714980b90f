namespace Fossil.Kernels.OneRow;

/// <summary>What an adapter adds to a layer's output for a single row, some elements at a time.</summary>
internal abstract unsafe class RowTerm
{
    /// <summary>Floats that <see cref="Prepare"/> writes.</summary>
    public abstract long PreparedFloats { get; }

    /// <summary>Computes what all elements need, on the launching thread.</summary>
    /// <param name="input">x.</param>
    /// <param name="count">Its elements.</param>
    /// <param name="prepared">Receives it.</param>
    public abstract void Prepare(float* input, long count, float* prepared);

    /// <summary>Adds some elements.</summary>
    /// <param name="prepared">What <see cref="Prepare"/> wrote.</param>
    /// <param name="first">The first element.</param>
    /// <param name="end">The one behind the last.</param>
    /// <param name="output">The first, and those after it.</param>
    public abstract void Add(float* prepared, long first, long end, float* output);
}
