using System.CommandLine;
using System.Text.Json;
using Fossil.Models;
using Fossil.TestData;
using static TorchSharp.torch;

/// <summary>What training takes at most.</summary>
/// <param name="File">The file.</param>
/// <param name="Checkpointing">Whether activations were computed again.</param>
/// <param name="Gigabytes">The peak of resident memory (VmHWM), the file's pages included.</param>
/// <param name="Seconds">Of the last step.</param>
internal sealed record PeakMemory(string File, bool Checkpointing, double Gigabytes, double Seconds)
{
    private const int Length = 512, Steps = 3;
    private const string Command = "peak-of";

    public static PeakMemory Run(string path, bool checkpointing) => OwnNumbers.Read<PeakMemory>(checkpointing ? [Command, path, "--checkpointing"] : [Command, path]);

    /// <summary>The command of the process that is measured.</summary>
    public static Command Child()
    {
        var (file, checkpointing) = (new Argument<FileInfo>("file"), new Option<bool>("--checkpointing"));
        var command = new Command(Command) { file, checkpointing };
        command.Hidden = true;
        command.SetAction(parsed => Console.WriteLine(JsonSerializer.Serialize(Measure(parsed.GetValue(file)!.FullName, parsed.GetValue(checkpointing)))));
        return command;
    }

    private static PeakMemory Measure(string path, bool checkpointing)
    {
        using var model = new TrainedModel(AutoModelForCausalLM.FromGguf(path, bfloat16, keepQuantized: true), checkpointing);
        var seconds = Enumerable.Range(0, Steps).Select(_ => model.Step(Length)).Last();
        return new(Path.GetFileName(path), checkpointing, ProcessMemory.Now().Peak / 1e9, seconds);
    }

    public override string ToString() => $"{File}, FOSSIL r=64, {TrainedModel.Rows}x{Length} tokens{(Checkpointing ? ", activations computed again" : "")}: peak {Gigabytes:f2} GB, {Seconds:f1} s a step";
}
