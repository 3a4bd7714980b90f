using System.Diagnostics;
using System.Globalization;

namespace Fossil.Benchmarks;

/// <summary>The frozen step of another commit (benchmarks/FrozenStep, built in a working tree of that commit), in a process that waits while others are measured.</summary>
internal sealed class EarlierFrozenStep : IDisposable
{
    private const string Project = "FrozenStep";

    private readonly string tree = Path.Combine(Path.GetTempPath(), $"fossil-earlier-{Environment.ProcessId}");
    private readonly Process process;

    /// <summary>Builds and starts it.</summary>
    /// <param name="commit">The commit, as git names it.</param>
    /// <param name="source">The model's files.</param>
    /// <exception cref="InvalidOperationException">It could not be built.</exception>
    public EarlierFrozenStep(string commit, Base source)
    {
        Commit = commit;
        try
        {
            Run("git", "worktree", "add", "--detach", "--force", tree, commit);
            var folder = Directory.CreateDirectory(Path.Combine(tree, "benchmarks", Project)).FullName;
            foreach (var file in Directory.EnumerateFiles(Path.Combine("benchmarks", Project))) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)), overwrite: true);
            Run("dotnet", "build", folder, "-c", "Release", "-v", "q", "--nologo", "-p:RunAnalyzers=false");
            var program = Directory.EnumerateFiles(Path.Combine(folder, "bin", "Release"), $"{Project}.dll", SearchOption.AllDirectories).First();
            process = Process.Start(new ProcessStartInfo("dotnet", [program, Path.GetDirectoryName(Path.GetFullPath(source.Folder))!]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        }
        catch
        {
            RemoveTree();
            throw;
        }
    }

    /// <summary>The commit.</summary>
    public string Commit { get; }

    /// <summary>Milliseconds of a step, now.</summary>
    public double Milliseconds()
    {
        process.StandardInput.WriteLine();
        return double.Parse(process.StandardOutput.ReadLine() ?? throw new InvalidOperationException($"The frozen step of {Commit} ended."), CultureInfo.InvariantCulture);
    }

    public void Dispose()
    {
        process.StandardInput.Close();
        process.WaitForExit();
        process.Dispose();
        RemoveTree();
    }

    private void RemoveTree()
    {
        if (Directory.Exists(tree)) Run("git", "worktree", "remove", "--force", tree);
    }

    private static void Run(string program, params string[] arguments)
    {
        using var command = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var output = command.StandardOutput.ReadToEnd();
        command.WaitForExit();
        if (command.ExitCode != 0) throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {command.ExitCode}: {output}");
    }
}
