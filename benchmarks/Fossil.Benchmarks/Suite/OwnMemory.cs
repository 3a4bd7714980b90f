using System.Globalization;

namespace Fossil.Benchmarks;

/// <summary>Measures in processes of their own: a process has only one peak of its memory.</summary>
internal static class OwnMemory
{
    /// <summary>The command by which this program measures one thing and prints the megabytes.</summary>
    public const string Command = "memory-of";

    /// <summary>Megabytes that this program measures with other arguments.</summary>
    public static double Measure(Base source, params IEnumerable<string> arguments) =>
        double.Parse(OwnProcess.Output([Command, .. arguments, "--models", Path.GetDirectoryName(source.Folder)!]), CultureInfo.InvariantCulture);

    /// <summary>Prints what <see cref="Measure"/> reads.</summary>
    public static void Report(double megabytes) => Console.WriteLine(megabytes.ToString("R", CultureInfo.InvariantCulture));
}
