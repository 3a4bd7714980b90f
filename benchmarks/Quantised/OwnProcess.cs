using System.Diagnostics;
using System.Reflection;
using System.Text.Json;

/// <summary>This program once more, in a process whose memory is its own.</summary>
internal static class OwnProcess
{
    /// <summary>Runs it with other arguments, and reads the JSON that it prints last.</summary>
    public static T Run<T>(params IEnumerable<string> arguments)
    {
        var program = Environment.ProcessPath!;
        // Started as `dotnet Program.dll`, the process is dotnet's.
        var isDotnet = Path.GetFileNameWithoutExtension(program) == "dotnet";
        using var process = Process.Start(new ProcessStartInfo(program, isDotnet ? arguments.Prepend(Assembly.GetEntryAssembly()!.Location) : arguments) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? JsonSerializer.Deserialize<T>(output.Trim().Split('\n')[^1])! : throw new InvalidOperationException($"{string.Join(' ', arguments)} ended with {process.ExitCode}: {output}");
    }
}
