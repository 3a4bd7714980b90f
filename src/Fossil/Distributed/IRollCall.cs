namespace Fossil.Distributed;

/// <summary>Finds out which of the processes are still there.</summary>
internal interface IRollCall
{
    /// <summary>Waits for some time for a sign of all processes that wait as well.</summary>
    /// <param name="occasion">The number of the wait: a sign of an earlier one does not count.</param>
    /// <param name="patience">For how long.</param>
    /// <param name="isOver">Whether what the process waits for has come.</param>
    /// <returns>Those that gave none.</returns>
    IReadOnlyList<int> RollCall(long occasion, TimeSpan patience, Func<bool> isOver);
}
