namespace Fossil.Kernels;

/// <summary>
/// The tokens that a layer sees which does not see all (an expert): each keeps the mask that it has as a part of its row, whichever others come with it. Drawn so where a pass says its rows (<see cref="DropoutRows"/>).
/// </summary>
internal sealed class DropoutTokens : IDisposable
{
    [ThreadStatic]
    private static DropoutTokens? current;

    private readonly DropoutTokens? before = current;

    private DropoutTokens(long[] numbers, long ofRow) => (Numbers, OfRow) = (numbers, ofRow);

    /// <summary>Those of the layers that are called on this thread; null for all tokens.</summary>
    public static DropoutTokens? Current => current;

    /// <summary>Their numbers among the tokens of all rows, one row behind the other.</summary>
    public long[] Numbers { get; }

    /// <summary>How many tokens a row has.</summary>
    public long OfRow { get; }

    /// <summary>Says which tokens the layers see that are called on this thread until the result is disposed.</summary>
    public static DropoutTokens See(long[] numbers, long ofRow) => current = new(numbers, ofRow);

    /// <inheritdoc/>
    public void Dispose() => current = before;
}
