using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>The cross-entropy of rows of logits; the size is that of the vocabulary.</summary>
internal interface ICrossEntropy : IDifferentiableKernel
{
    /// <param name="logits">(rows, vocabulary).</param>
    /// <param name="targets">A token id for each row; a row with a negative one does not count.</param>
    /// <param name="gradient">Whether scale · (softmax − one-hot) replaces the logits.</param>
    /// <param name="scale">As said.</param>
    /// <returns>The sum over the rows.</returns>
    double Run(in KernelMatrix logits, long[] targets, bool gradient, float scale);
}
