using System.Diagnostics;
using System.Reflection;

/// <summary>Starts this program once more, in a process of its own, whose peak memory is its own.</summary>
internal static class OwnProcess
{
    /// <summary>Runs this program with other arguments and waits for its end. Ctrl-C reaches both; this one waits for the other.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(params IEnumerable<string> arguments)
    {
        var program = Environment.ProcessPath!;
        // Started as `dotnet Program.dll`, the process is dotnet's.
        var isDotnet = Path.GetFileNameWithoutExtension(program) == "dotnet";
        using var process = Process.Start(program, isDotnet ? arguments.Prepend(Assembly.GetEntryAssembly()!.Location) : arguments);
        await process.WaitForExitAsync(CancellationToken.None);
        return process.ExitCode;
    }
}
