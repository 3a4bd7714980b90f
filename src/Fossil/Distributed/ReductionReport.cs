namespace Fossil.Distributed;

/// <summary>How the gradients of a step were summed over the ranks. Times are seconds since the step's reduction was prepared.</summary>
/// <param name="Pieces">The pieces, in the order in which they began.</param>
/// <param name="BackwardEnded">When the backward pass had ended.</param>
/// <param name="Ended">When the last sum was there.</param>
/// <param name="WaitingSeconds">For how long this rank did nothing else than wait.</param>
/// <param name="SentBytes">What this rank has sent to the others.</param>
public sealed record ReductionReport(IReadOnlyList<ReducedPiece> Pieces, double BackwardEnded, double Ended, double WaitingSeconds, long SentBytes)
{
    /// <summary>The share of the bytes whose reduction began before the backward pass had ended.</summary>
    public double OverlappedShare
    {
        get
        {
            long all = 0, overlapped = 0;
            foreach (var piece in Pieces)
            {
                all += piece.Bytes;
                if (piece.Began < BackwardEnded) overlapped += piece.Bytes;
            }

            return all == 0 ? 0 : (double)overlapped / all;
        }
    }
}

/// <summary>One piece of the gradients.</summary>
/// <param name="Bytes">Its bytes.</param>
/// <param name="Began">When its reduction began.</param>
/// <param name="Ended">When the sum was there.</param>
public sealed record ReducedPiece(int Bytes, double Began, double Ended);
