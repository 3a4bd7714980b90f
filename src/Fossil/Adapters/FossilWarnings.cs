namespace Fossil;

/// <summary>Where the library reports what works but is probably not what was meant, or is slower than it could be.</summary>
public static class FossilWarnings
{
    /// <summary>Receives each warning; it writes to the standard error stream unless it is replaced. Null switches warnings off.</summary>
    public static Action<string>? Handler { get; set; } = message => Console.Error.WriteLine($"Fossil: {message}");

    internal static void Report(string message) => Handler?.Invoke(message);
}
