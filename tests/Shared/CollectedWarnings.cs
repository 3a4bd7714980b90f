namespace Fossil.TestData;

/// <summary>What is reported while something runs. The handler is one for the process, so that one test at a time may take its place.</summary>
internal static class CollectedWarnings
{
    private static readonly Lock Turn = new();

    public static IReadOnlyList<string> During(Action action)
    {
        lock (Turn)
        {
            var warnings = new List<string>();
            var handler = FossilWarnings.Handler;
            FossilWarnings.Handler = message =>
            {
                // Tests of other classes run at the same time.
                lock (warnings) warnings.Add(message);
            };
            try
            {
                action();
            }
            finally
            {
                FossilWarnings.Handler = handler;
            }

            lock (warnings) return [.. warnings];
        }
    }
}
