using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>The cross-entropy of rows of logits; the size is that of the vocabulary.</summary>
internal interface ICrossEntropy : IDifferentiableKernel
{
    /// <summary>Logits that are worth making at once, where they are made in blocks: what a processor's last cache holds, or enough to keep all of a device busy.</summary>
    long ElementsAtOnce { get; }

    /// <param name="logits">(rows, vocabulary).</param>
    /// <param name="targets">A token id for each row (rows, 1), int64; a row with a negative one does not count.</param>
    /// <param name="losses">(rows, 1), float32; written, with zeros for rows that do not count.</param>
    /// <param name="gradient">Whether scale · (softmax − one-hot) replaces the logits.</param>
    /// <param name="scale">As said.</param>
    void Run(in KernelMatrix logits, in KernelMatrix targets, in KernelMatrix losses, bool gradient, float scale);
}
