using System.Buffers.Binary;
using Fossil.Models.Gguf;
using Fossil.Models.Tokenizers;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Quantised;

/// <summary>GGUF files of random matrices of any block type, those too that are not written here: valid blocks around zero. Only one tensor at a time is in memory.</summary>
internal static class RandomBlocks
{
    // A type that is not written: where the scale (and what is subtracted) lies in a block, the deviation of its elements at a scale of one, and the middle that is subtracted, in scales.
    private static readonly Dictionary<GgufTensorType, (int Scale, int? Minimum, double Deviation, double Middle)> Layouts = new()
    {
        [GgufTensorType.Q2_K] = (80, 82, 13.9, 1.5),
        [GgufTensorType.Q3_K] = (108, null, 45, 0),
        [GgufTensorType.Q4_K] = (0, 2, 257, 7.5),
        [GgufTensorType.Q5_K] = (0, 2, 524, 15.5),
        [GgufTensorType.Q6_K] = (208, null, 1367, 0),
        [GgufTensorType.IQ4_NL] = (0, null, 67, 0),
        [GgufTensorType.IQ4_XS] = (0, null, 1240, 0),
    };

    /// <summary>The types that <see cref="Write"/> knows beside those that are written here.</summary>
    public static IEnumerable<GgufTensorType> Types => Layouts.Keys;

    /// <summary>Where the scale lies in a block; at its start in the types that are written here.</summary>
    public static int ScaleOf(GgufTensorType type) => Layouts.TryGetValue(type, out var layout) ? layout.Scale : 0;

    /// <summary>Writes a model of the Llama family whose matrices are of one type, embedding and output layer too.</summary>
    /// <param name="path">The file.</param>
    /// <param name="config">The architecture; widths are whole blocks.</param>
    /// <param name="type">The type.</param>
    /// <param name="seed">What the elements follow from.</param>
    public static void Write(string path, LlamaConfig config, GgufTensorType type, int seed = 1)
    {
        var random = new Random(seed);
        var metadata = new GgufMetadata();
        metadata["general.architecture"] = GgufValue.Of(config.GgufArchitecture);
        foreach (var (key, value) in config.GgufFields()) metadata[$"{config.GgufArchitecture}.{key}"] = GgufValue.Of(value);
        metadata[GgufTokenizer.Prefix + "model"] = GgufValue.Of(GgufTokenizer.NoModel);
        // For its names and shapes: its tensors are not written to, and so take no memory.
        using var model = config.Allocate(bfloat16, null);
        GgufWriter.Save(path, metadata, [.. model.named_parameters().Select(entry => Tensor(config.GgufNames.ToGguf(entry.name)!, entry.parameter.shape))]);

        GgufTensorSource Tensor(string name, long[] shape) => shape.Length == 1 ? new(name, GgufTensorType.F32, shape, () => ones(shape))
            : Layouts.ContainsKey(type) ? new(name, type, shape, () => throw new NotSupportedException()) { LoadBytes = () => Blocks(shape) }
            : new(name, type, shape, () => Normal(shape));

        Tensor Normal(long[] shape)
        {
            using var generator = new Generator((ulong)random.Next(), CPU);
            return empty(shape).normal_(0, config.InitializerRange, generator);
        }

        Tensor Blocks(long[] shape)
        {
            var (elements, bytes) = type.Block();
            var (scale, minimum, deviation, middle) = Layouts[type];
            var rows = empty(shape[0], shape[1] / elements * bytes, dtype: ScalarType.Byte);
            var span = rows.bytes;
            random.NextBytes(span);
            for (var block = 0; block < span.Length; block += (int)bytes)
            {
                BinaryPrimitives.WriteHalfLittleEndian(span[(block + scale)..], (Half)(config.InitializerRange / deviation));
                if (minimum is { } place) BinaryPrimitives.WriteHalfLittleEndian(span[(block + place)..], (Half)(config.InitializerRange / deviation * middle));
            }

            return rows;
        }
    }
}
