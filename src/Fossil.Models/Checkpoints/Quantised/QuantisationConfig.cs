using System.Text.Json;

namespace Fossil.Models.Checkpoints.Quantised;

/// <summary>What <c>quantization_config</c> in <c>config.json</c> says.</summary>
/// <param name="IsFloat8">Whether weights are floats of eight bits with scales.</param>
/// <param name="Float8Block">Rows and columns of a block of one scale.</param>
internal sealed record QuantisationConfig(bool IsFloat8, (long Rows, long Columns) Float8Block)
{
    // What transformers takes where the file does not say.
    private const int DefaultBlock = 128;

    /// <summary>Reads it.</summary>
    /// <exception cref="CheckpointException">The model is quantised by a method that is not read here.</exception>
    public static QuantisationConfig Read(ModelConfigReader config)
    {
        var plain = new QuantisationConfig(IsFloat8: false, (DefaultBlock, DefaultBlock));
        if (config.Section("compression_config") is not null) throw Unsupported(config, "compressed-tensors", null);
        if (config.Section("quantization_config") is not { } section) return plain;
        var method = config.Text(section, "quant_method");
        if (method is null && (IsTrue(section, "load_in_4bit") || IsTrue(section, "load_in_8bit"))) method = "bitsandbytes";
        return method switch
        {
            null or "bitsandbytes" => plain,
            "fp8" => plain with { IsFloat8 = true, Float8Block = BlockOf(config, section) },
            _ => throw Unsupported(config, method, section),
        };
    }

    private static (long Rows, long Columns) BlockOf(ModelConfigReader config, JsonElement section)
    {
        if (!section.TryGetProperty("weight_block_size", out var block) || block.ValueKind == JsonValueKind.Null) return (DefaultBlock, DefaultBlock);
        if (block.ValueKind != JsonValueKind.Array || block.GetArrayLength() != 2) throw config.Error($"has weight_block_size {block}, which is not two sizes");
        long[] sizes = [.. block.EnumerateArray().Select(size => size.ValueKind == JsonValueKind.Number && size.TryGetInt32(out var value) && value >= 1 ? value : throw config.Error($"has weight_block_size {block}, which is not two sizes"))];
        return (sizes[0], sizes[1]);
    }

    private static CheckpointException Unsupported(ModelConfigReader config, string method, JsonElement? section)
    {
        var bits = section is { } known && known.TryGetProperty("bits", out var value) && value.ValueKind == JsonValueKind.Number ? $", {value} bits" : string.Empty;
        return config.Error($"says that the weights are quantised by {MethodName(method)} (quantization_config: {method}{bits}), which is not read here. bitsandbytes' nf4, fp4 and int8, FP8 with weight_scale_inv, and GGUF files are: take one of these, or the model that it was made of");
    }

    /// <summary>The name by which a method is known.</summary>
    public static string MethodName(string method) => method.ToLowerInvariant() switch
    {
        "gptq" => "GPTQ",
        "awq" => "AWQ",
        "auto-round" or "intel/auto-round" => "AutoRound",
        "fbgemm_fp8" => "FBGEMM's FP8",
        "mxfp4" => "MXFP4",
        "hqq" => "HQQ",
        "aqlm" => "AQLM",
        _ => method,
    };

    private static bool IsTrue(JsonElement section, string name) => section.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;
}
