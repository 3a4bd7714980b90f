using System.Diagnostics;
using System.Globalization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Quantised;

/// <summary>What a model takes of the memory of a process that does nothing else: the program that <see cref="QuantisedMemoryTests"/> starts.</summary>
/// <param name="Own">Bytes of the process's own after one forward pass (RssAnon).</param>
/// <param name="Resident">Those and the pages of mapped files (RssAnon + RssFile).</param>
/// <param name="Step">By how many bytes of its own the process grows in a training step.</param>
internal sealed record QuantisedMemory(long Own, long Resident, long Step)
{
    public const string Command = "memory", Mapped = "mapped", Copied = "copied", Expanded = "expanded";

    /// <summary>libtorch's threads, of which each has a tile.</summary>
    public const int Threads = 2;

    /// <summary>Tokens of a step, and of the forward pass before it.</summary>
    public const int Tokens = 64, ForwardTokens = 8;

    /// <summary>Runs the program.</summary>
    /// <param name="how">Whether the model's blocks are mapped or copied, or it is expanded to bfloat16.</param>
    /// <param name="path">A GGUF file.</param>
    public static async Task<QuantisedMemory> InProcess(string how, string path)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", [typeof(QuantisedMemory).Assembly.Location, Command, how, path]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, await error);
        return (await output).Trim().Split(' ').Select(number => long.Parse(number, CultureInfo.InvariantCulture)).ToArray() is [var own, var resident, var step] ? new(own, resident, step) : throw new InvalidDataException(await output);
    }

    /// <summary>The program: prints the numbers.</summary>
    public static int Run(string how, string path)
    {
        var measured = Measure(how, path);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{measured.Own} {measured.Resident} {measured.Step}"));
        return 0;
    }

    private static QuantisedMemory Measure(string how, string path)
    {
        set_num_threads(Threads);
        using var model = LlamaForCausalLM.FromGguf(path, bfloat16, keepQuantized: how != Expanded, mapped: how != Copied);
        using (no_grad())
        using (var ids = Ids(ForwardTokens)) model.forward(ids).Dispose();
        var afterForward = ProcessMemory.Now();

        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 64 });
        using var optimizer = adapted.CreateOptimizer(1e-3);
        model.train();
        // The first step compiles, and takes what the allocator keeps; what it asks for besides differs from step to step.
        Step();
        return new(afterForward.Anonymous, afterForward.Resident, Enumerable.Range(0, 4).Min(_ => Rise()));

        long Rise()
        {
            var before = ProcessMemory.Now();
            ProcessMemory.ResetPeak();
            Step();
            var after = ProcessMemory.Now();
            return after.Peak - after.File - before.Anonymous;
        }

        void Step()
        {
            using var scope = NewDisposeScope();
            var ids = Ids(Tokens);
            model.loss(ids, ids).backward();
            optimizer.step();
            optimizer.zero_grad();
        }
    }

    private static Tensor Ids(int tokens) => arange(tokens).mul_(37).remainder_(1000).unsqueeze_(0);
}
