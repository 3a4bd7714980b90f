using System.Diagnostics;
using System.Globalization;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Fuzz;

/// <summary>A process that saves adapters in a loop, to be killed, and the check of what it leaves behind.</summary>
internal static class SaveLoop
{
    public const string Command = "save-loop";
    private const string Module = "model.layers.0.q_proj";
    private const int Width = 4096;

    /// <summary>Saves version after version and prints the number of each that is complete. Configuration and weights both tell their version.</summary>
    public static void Run(string folder)
    {
        for (var version = 1; ; version++)
        {
            using var scope = NewDisposeScope();
            var rank = Rank(version);
            var config = new FossilConfig { ShardSize = rank, TargetModules = ["q_proj"], BaseModelNameOrPath = version.ToString(CultureInfo.InvariantCulture) };
            var name = new AdapterTensorName(AdapterTensorKind.Adapter, Module, "miss_block");
            AdapterFile.SaveFolder(folder, config, [(name, full(rank, Width, version))]);
            Console.WriteLine(version);
            Console.Out.Flush();
        }
    }

    /// <summary>Starts a loop as a process of its own and kills it at a random moment after its first save.</summary>
    /// <param name="folder">Where it saves.</param>
    /// <param name="random">Chooses the moment.</param>
    /// <param name="command">This loop, or another that prints the number of each complete save.</param>
    /// <returns>The last number that it said was complete.</returns>
    public static int StartAndKill(string folder, Random random, string command = Command)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, ArgumentList = { typeof(SaveLoop).Assembly.Location, command, "--folder", folder } };
        using var process = Process.Start(start)!;
        var last = int.Parse(process.StandardOutput.ReadLine() ?? throw new InvalidOperationException("The saving process ended before its first save."), CultureInfo.InvariantCulture);
        Thread.Sleep(random.Next(200));
        process.Kill();

        // A line that the kill cut short is no report.
        var lines = process.StandardOutput.ReadToEnd().Split('\n');
        process.WaitForExit();
        return lines.Length > 1 ? int.Parse(lines[^2], CultureInfo.InvariantCulture) : last;
    }

    /// <summary>Checks that the folder holds one complete version, which is <paramref name="reported"/> or the next.</summary>
    /// <exception cref="InvalidOperationException">It does not.</exception>
    public static void Check(string folder, int reported)
    {
        using var scope = NewDisposeScope();
        var (config, weights) = AdapterFile.OpenFolder(folder);
        using (weights)
        {
            var version = int.Parse(config.BaseModelNameOrPath!, CultureInfo.InvariantCulture);
            var tensor = weights.Load(weights.Names.Single());
            var consistent = ((FossilConfig)config).ShardSize == Rank(version) && tensor.shape[0] == Rank(version) && tensor.eq(version).all().item<bool>();
            if (!consistent || version < reported || version > reported + 1)
            {
                throw new InvalidOperationException($"'{folder}' holds the configuration of version {version} and weights of shape ({string.Join(", ", tensor.shape)}) with the value {tensor[0, 0].item<float>()}; the last complete save was version {reported}.");
            }
        }
    }

    private static int Rank(int version) => 1 + (version % 64);
}
