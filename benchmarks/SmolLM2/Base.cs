using System.Diagnostics;
using Fossil;
using Fossil.Models;
using Fossil.Models.Tokenizers;
using static TorchSharp.torch;

/// <summary>The model's files, and what all measurements share.</summary>
internal sealed record Base(string Folder)
{
    public static readonly string[] Projections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    public string Gguf => Path.Combine(Folder, "SmolLM2-135M-Instruct.Q4_1.gguf");

    public string ReferenceFile(string name) => Path.Combine(Folder, "reference", name);

    public static Base In(DirectoryInfo models) => new(Path.Combine(models.FullName, "SmolLM2-135M-Instruct"));

    public LlamaForCausalLM Load(ScalarType dtype) => LlamaForCausalLM.FromGguf(Gguf, dtype);

    /// <summary>The tokens of Paradise Lost.</summary>
    public int[] Text() => PretrainedTokenizer.FromGguf(Gguf).Encode(File.ReadAllText(SampleData.Find("data/paradise_lost.txt")));

    public static FossilConfig Config(int shardSize, FossilVariant variant = FossilVariant.Balance) =>
        new() { ShardSize = shardSize, Variant = variant, TargetModules = [.. Projections] };

    public static Tensor Batch(int[] tokens, int start, int rows, int length)
    {
        using var ids = tensor(tokens.AsSpan(start, rows * length).ToArray(), [rows, length]);
        return ids.to(int64);
    }

    /// <summary>Memory of this process that is in RAM.</summary>
    public static long Resident()
    {
        using var process = Process.GetCurrentProcess();
        return process.WorkingSet64;
    }

    /// <summary>The most that it ever was.</summary>
    public static long PeakResident()
    {
        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }
}
