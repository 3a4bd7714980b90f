using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>
/// The softmax of rows of logits of which only a part of the columns is there at a time, one part behind the other: exp(logit − the largest so far), and for each row what is known of it; the size
/// is that of the vocabulary.
/// </summary>
internal interface IRunningSoftmax : IDifferentiableKernel
{
    /// <summary>Columns of what is known of a row: the largest logit (before the first part −∞), by what factor that of a part before is to be multiplied, the target's logit, and the sum's lanes.</summary>
    const int Largest = 0, Factor = 1, Target = 2, Sums = 3, StateColumns = Sums + 16;

    /// <param name="logits">(rows, columns of this part); where <paramref name="keep"/> says so replaced by exp(logit − largest so far), zeros in rows without a target.</param>
    /// <param name="state">(rows, <see cref="StateColumns"/>), float32; brought up to date.</param>
    /// <param name="targets">A token id for each row; a row with a negative one does not count.</param>
    /// <param name="firstColumn">The vocabulary's number of this part's first column.</param>
    /// <param name="keep">As said.</param>
    void Run(in KernelMatrix logits, in KernelMatrix state, long[] targets, long firstColumn, bool keep);
}
