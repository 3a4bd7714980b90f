using static TorchSharp.torch;

namespace Fossil.Models.Checkpoints.Quantised;

/// <summary>A weight of a Hugging Face folder that is stored as codes, with scales beside it.</summary>
/// <param name="name">The weight's name.</param>
/// <param name="folder">The folder, for messages and for its tensors.</param>
internal abstract class QuantisedWeight(string name, HuggingFaceFolder folder)
{
    /// <summary>The weight's name.</summary>
    public string Name => name;

    /// <summary>The names of the tensors that belong to it: scales, tables, descriptions.</summary>
    public abstract IReadOnlyList<string> Companions { get; }

    /// <summary>The shape of the weight that is meant.</summary>
    public abstract IReadOnlyList<long> Shape { get; }

    /// <summary>The weight as it is stored, where it is a matrix.</summary>
    /// <param name="dtype">The dtype that is computed in.</param>
    /// <returns>The weight, its codes in the file's own memory.</returns>
    public abstract LinearWeight Encode(ScalarType dtype);

    /// <summary>Dequantises into a tensor of <see cref="Shape"/>, of any float dtype and device.</summary>
    public virtual void LoadInto(Tensor destination)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var weight = Encode(ScalarType.Float32);
        foreach (var tile in weight.Tiles())
        {
            using var part = NewDisposeScope();
            tile.Of(destination).copy_(weight.Rows(tile.Start, tile.Count));
        }
    }

    /// <summary>The folder.</summary>
    protected HuggingFaceFolder Folder => folder;

    /// <summary>Loads one of the tensors as float32, after its size was compared with the one that is needed.</summary>
    /// <param name="tensor">The tensor's name.</param>
    /// <param name="count">Its elements.</param>
    protected float[] Floats(string tensor, long count)
    {
        CheckCount(tensor, count);
        using var loaded = folder.Load(tensor, ScalarType.Float32);
        return loaded.data<float>().ToArray();
    }

    /// <summary>The bytes of one of the tensors, after their number was compared with the one that is needed.</summary>
    protected byte[] Bytes(string tensor, long count)
    {
        var stored = folder.InfoOf(tensor).ByteCount;
        return stored == count ? folder.ReadBytes(tensor) : throw Error($"'{tensor}' has {stored} bytes instead of {count}");
    }

    /// <summary>The bytes of the weight's tensor as they lie in the file: its own memory.</summary>
    /// <param name="dtype">A dtype of one byte.</param>
    /// <param name="shape">Its shape.</param>
    protected Tensor Codes(ScalarType dtype, params long[] shape) => folder.MapBytes(name, dtype, shape);

    /// <summary>Refuses a tensor that is missing or has another number of elements.</summary>
    protected void CheckCount(string tensor, long count)
    {
        if (!folder.Contains(tensor)) throw Error($"'{tensor}' is missing");
        var elements = folder.InfoOf(tensor).Shape.Aggregate(1L, (product, dimension) => product * dimension);
        if (elements != count) throw Error($"'{tensor}' has {elements} elements instead of {count}");
    }

    /// <summary>An error about this weight.</summary>
    protected CheckpointException Error(string problem, Exception? exception = null) =>
        new($"{folder.Path}: the quantised weight '{name}' cannot be read: {problem}. The folder is incomplete or damaged; fetch or save it again.", exception);
}
