using System.CommandLine;
using System.Text.Json;
using Fossil.Models;
using Fossil.Models.Gguf;
using Fossil.TestData;
using static TorchSharp.torch;

/// <summary>Megabytes of memory over a process that has loaded libtorch and made one product.</summary>
/// <param name="File">The file.</param>
/// <param name="Tensors">Of the file's tensors.</param>
/// <param name="Copied">Whether blocks are copied, not mapped.</param>
/// <param name="AfterForward">RssAnon + RssFile after one forward pass.</param>
/// <param name="OwnAfterForward">RssAnon alone.</param>
/// <param name="Step">By how much RssAnon rises in a training step.</param>
/// <param name="StepInBFloat16">By how much it rises over the same weights in bfloat16: the activations.</param>
internal sealed record ResidentMemory(string File, double Tensors, bool Copied, double AfterForward, double OwnAfterForward, double Step, double StepInBFloat16)
{
    private const string Command = "memory-of", Empty = "empty", Kept = "kept", Copy = "copied", Expanded = "expanded";
    private const int ForwardTokens = 16;

    public static ResidentMemory Run(string path, int tokens, bool copied)
    {
        using var file = GgufFile.Open(path);
        var (empty, model, expanded) = (Child(Empty), Child(copied ? Copy : Kept), Child(Expanded));
        return new(Path.GetFileName(path), file.Tensors.Sum(tensor => tensor.ByteCount) / 1e6, copied, (model.Resident - empty.Resident) / 1e6, (model.Own - empty.Own) / 1e6, model.Step / 1e6, expanded.Step / 1e6);

        Numbers Child(string what) => OwnNumbers.Read<Numbers>(Command, what, path, $"{tokens}");
    }

    /// <summary>The command of the process that is measured.</summary>
    public static Command Child()
    {
        var (what, file, tokens) = (new Argument<string>("what"), new Argument<FileInfo>("file"), new Argument<int>("tokens"));
        var command = new Command(Command) { what, file, tokens };
        command.Hidden = true;
        command.SetAction(parsed => Console.WriteLine(JsonSerializer.Serialize(Measure(parsed.GetValue(what)!, parsed.GetValue(file)!.FullName, parsed.GetValue(tokens)))));
        return command;
    }

    private static Numbers Measure(string what, string path, int tokens)
    {
        using (var product = ones(64, 64, bfloat16).mm(ones(64, 64, bfloat16))) GC.KeepAlive(product);
        if (what == Empty) return Numbers.Of(ProcessMemory.Now(), 0);
        using var model = AutoModelForCausalLM.FromGguf(path, bfloat16, keepQuantized: what != Expanded, mapped: what != Copy);
        using (no_grad())
        using (var ids = randint(1000, [1, ForwardTokens], int64)) model.forward(ids).Dispose();
        var afterForward = ProcessMemory.Now();
        using var trained = new TrainedModel(model);
        // The first step compiles, and takes what the allocator keeps.
        trained.Step(tokens);
        var before = ProcessMemory.Now();
        ProcessMemory.ResetPeak();
        trained.Step(tokens);
        var after = ProcessMemory.Now();
        return Numbers.Of(afterForward, after.Peak - after.File - before.Anonymous);
    }

    public override string ToString() => $"{File}, {(Copied ? "copied" : "mapped")}: {Tensors:f1} MB of tensors; {AfterForward:f1} MB resident after one forward pass of {ForwardTokens} tokens, of which {OwnAfterForward:f1} the process's own; a training step takes {Step:f1} MB, over bfloat16 weights {StepInBFloat16:f1}";

    private sealed record Numbers(long Resident, long Own, long Step)
    {
        public static Numbers Of(ProcessMemory memory, long step) => new(memory.Resident, memory.Anonymous, step);
    }
}
