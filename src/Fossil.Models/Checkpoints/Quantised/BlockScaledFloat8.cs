using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Models.Checkpoints.Quantised;

/// <summary>Floats of eight bits with one scale a block of rows and columns (<c>weight_scale_inv</c>), or one for the whole weight: value = code · scale, as published FP8 checkpoints have it.</summary>
internal sealed class BlockScaledFloat8 : QuantisedWeight
{
    private const string ScaleSuffix = "_scale_inv";
    private readonly string scales;
    private readonly IReadOnlyList<long> scaleShape;
    private readonly (long Rows, long Columns) block;

    private BlockScaledFloat8(string name, HuggingFaceFolder folder, QuantisationConfig config)
        : base(name, folder)
    {
        scales = name + ScaleSuffix;
        Shape = folder.InfoOf(name).Shape;
        var module = name[..^".weight".Length];

        // Scales of the activations are of a computation in eight bits, which is not done here.
        Companions = [scales, .. new[] { module + ".activation_scale", module + ".input_scale" }.Where(folder.Contains)];
        scaleShape = folder.InfoOf(scales).Shape;
        block = scaleShape.All(dimension => dimension == 1) ? (long.MaxValue, long.MaxValue) : config.Float8Block;
        if (Shape.Count != 2) throw Error($"it has {Shape.Count} dimensions");
        long[] expected = block.Rows == long.MaxValue ? [] : [Blocks(Shape[0], block.Rows), Blocks(Shape[1], block.Columns)];
        if (block.Rows != long.MaxValue && !scaleShape.SequenceEqual(expected)) throw Error($"'{scales}' has shape [{string.Join(", ", scaleShape)}], and [{string.Join(", ", Shape)}] in blocks of {block.Rows} x {block.Columns} (quantization_config.weight_block_size) needs [{string.Join(", ", expected)}]");
    }

    public override IReadOnlyList<string> Companions { get; }

    public override IReadOnlyList<long> Shape { get; }

    /// <summary>The weight, where it is one of this kind.</summary>
    public static QuantisedWeight? Find(string name, HuggingFaceFolder folder, QuantisationConfig config)
    {
        if (folder.InfoOf(name).Dtype is not (SafetensorsDtype.F8_E4M3 or SafetensorsDtype.F8_E5M2)) return null;
        if (folder.Contains(name + ScaleSuffix)) return new BlockScaledFloat8(name, folder, config);
        return config.IsFloat8 ? throw new CheckpointException($"{folder.Path}: the weight '{name}' is stored in {folder.InfoOf(name).Dtype}, and its scales '{name + ScaleSuffix}' are missing. The folder is incomplete; fetch it again.") : null;
    }

    public override LinearWeight Encode(ScalarType dtype)
    {
        var (rows, columns) = block.Rows == long.MaxValue ? (Shape[0], Shape[1]) : block;
        return new EightBitWeight(Codes(Folder.InfoOf(Name).Dtype.ToTorch()!.Value, [.. Shape]), empty(0, dtype: dtype), new EightBitLayout(Floats(scales, scaleShape.Aggregate(1L, (product, dimension) => product * dimension)), rows, columns), Folder.StateOf(Name));
    }

    private static long Blocks(long elements, long block) => (elements + block - 1) / block;
}
