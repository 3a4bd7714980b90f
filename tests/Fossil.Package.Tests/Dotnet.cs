using System.Diagnostics;

namespace Fossil.Package.Tests;

/// <summary>Runs the <c>dotnet</c> command as a user would, away from this repository's settings.</summary>
internal static class Dotnet
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(8);

    public static Task<(int ExitCode, string Output)> Run(string folder, params string[] arguments) => RunProgram("dotnet", folder, arguments);

    /// <summary>Runs it with more environment variables.</summary>
    public static Task<(int ExitCode, string Output)> Run(string folder, IReadOnlyDictionary<string, string> environment, params string[] arguments) => RunProgram("dotnet", folder, environment, arguments);

    /// <summary>Runs a program that was published.</summary>
    public static Task<(int ExitCode, string Output)> RunProgram(string program, string folder, params string[] arguments) => RunProgram(program, folder, new Dictionary<string, string>(), arguments);

    private static async Task<(int ExitCode, string Output)> RunProgram(string program, string folder, IReadOnlyDictionary<string, string> environment, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
        start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
        // The test host's own variables would send the child to the test's SDK and build servers.
        foreach (var name in start.Environment.Keys.Where(key => key.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToList()) start.Environment.Remove(name);

        foreach (var (name, value) in environment) start.Environment[name] = value;
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        using var limit = new CancellationTokenSource(Patience);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} took longer than {Patience}");
        }

        return (process.ExitCode, await output + await errors);
    }
}
