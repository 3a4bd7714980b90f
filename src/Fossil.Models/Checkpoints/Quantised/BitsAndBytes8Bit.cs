using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Models.Checkpoints.Quantised;

/// <summary>bitsandbytes' eight bits: signed codes with the largest magnitude of each row in <c>SCB</c>; value = code · SCB / 127.</summary>
internal sealed class BitsAndBytes8Bit : QuantisedWeight
{
    private readonly string rowScales;

    private BitsAndBytes8Bit(string name, HuggingFaceFolder folder)
        : base(name, folder)
    {
        var module = name[..^".weight".Length];
        rowScales = module + ".SCB";
        var format = module + ".weight_format";
        Companions = folder.Contains(format) ? [rowScales, format] : [rowScales];
        Shape = folder.InfoOf(name).Shape;
        if (Shape.Count != 2) throw Error($"it has {Shape.Count} dimensions");
        CheckCount(rowScales, Shape[0]);
        if (folder.Contains(format) && Bytes(format, 1)[0] is not 0 and var other) throw new CheckpointException($"{folder.Path}: the weight '{name}' is stored in the order of a GPU's product (weight_format {other}), which is not read. Save the model again with a current bitsandbytes, which keeps rows.");
    }

    public override IReadOnlyList<string> Companions { get; }

    public override IReadOnlyList<long> Shape { get; }

    /// <summary>The weight, where it is one of this kind.</summary>
    public static QuantisedWeight? Find(string name, HuggingFaceFolder folder) =>
        folder.InfoOf(name).Dtype == SafetensorsDtype.I8 && folder.Contains(name[..^".weight".Length] + ".SCB") ? new BitsAndBytes8Bit(name, folder) : null;

    public override LinearWeight Encode(ScalarType dtype) => new EightBitWeight(
        Codes(ScalarType.Int8, [.. Shape]), empty(0, dtype: dtype), new EightBitLayout([.. Floats(rowScales, Shape[0]).Select(largest => largest / 127f)], BlockRows: 1, BlockColumns: Shape[1]), Folder.StateOf(Name));
}
