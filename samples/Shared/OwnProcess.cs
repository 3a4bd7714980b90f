using System.Diagnostics;
using System.Reflection;

/// <summary>Starts this program once more, in a process of its own, whose peak memory is its own.</summary>
internal static class OwnProcess
{
    /// <summary>Runs this program with other arguments and waits for its end. Ctrl-C reaches both; this one waits for the other.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(params IEnumerable<string> arguments)
    {
        using var process = Process.Start(Again(arguments))!;
        await process.WaitForExitAsync(CancellationToken.None);
        return process.ExitCode;
    }

    /// <summary>Runs this program with other arguments.</summary>
    /// <returns>What it prints.</returns>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    public static string Output(params IEnumerable<string> arguments)
    {
        var start = Again(arguments);
        start.RedirectStandardOutput = true;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{string.Join(' ', arguments)} ended with {process.ExitCode}: {output}");
    }

    private static ProcessStartInfo Again(IEnumerable<string> arguments)
    {
        var program = Environment.ProcessPath!;
        // Started as `dotnet Program.dll`, the process is dotnet's.
        var isDotnet = Path.GetFileNameWithoutExtension(program) == "dotnet";
        return new(program, isDotnet ? arguments.Prepend(Assembly.GetEntryAssembly()!.Location) : arguments);
    }
}
