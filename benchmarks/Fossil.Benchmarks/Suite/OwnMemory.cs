using System.Diagnostics;
using System.Globalization;
using System.Reflection;

namespace Fossil.Benchmarks;

/// <summary>Measures in processes of their own: a process has only one peak of its memory.</summary>
internal static class OwnMemory
{
    /// <summary>The command by which this program measures one thing and prints the megabytes.</summary>
    public const string Command = "memory-of";

    /// <summary>Megabytes that this program measures with other arguments.</summary>
    public static double Measure(Base source, params IEnumerable<string> arguments)
    {
        var program = Environment.ProcessPath!;
        IEnumerable<string> own = [Command, .. arguments, "--models", Path.GetDirectoryName(source.Folder)!];
        // Started as `dotnet Program.dll`, the process is dotnet's.
        var isDotnet = Path.GetFileNameWithoutExtension(program) == "dotnet";
        using var process = Process.Start(new ProcessStartInfo(program, isDotnet ? own.Prepend(Assembly.GetEntryAssembly()!.Location) : own) { RedirectStandardOutput = true })!;
        var answer = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? double.Parse(answer, CultureInfo.InvariantCulture) : throw new InvalidOperationException($"{string.Join(' ', own)} ended with {process.ExitCode}.");
    }

    /// <summary>Prints what <see cref="Measure"/> reads.</summary>
    public static void Report(double megabytes) => Console.WriteLine(megabytes.ToString("R", CultureInfo.InvariantCulture));
}
