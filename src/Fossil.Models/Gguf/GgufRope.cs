using static TorchSharp.torch;

namespace Fossil.Models.Gguf;

/// <summary>Rotary positions in GGUF: metadata, and tensors by whose elements frequencies are divided.</summary>
internal static class GgufRope
{
    /// <summary>Whether a tensor is part of the configuration, not of the model.</summary>
    public static bool IsFactors(string tensor) => tensor == GgufRopeFactors.TensorName;

    /// <summary>The settings that a file states.</summary>
    /// <param name="gguf">The file.</param>
    /// <param name="size">How many dimensions of a head are rotated.</param>
    /// <param name="maxPositions">The longest sequence that the model was made for.</param>
    public static RopeParameters Read(GgufConfigReader gguf, int size, int maxPositions)
    {
        var theta = gguf.FindNumber("rope.freq_base") ?? 10_000;
        if (theta <= 0) throw gguf.Contradiction($"has a base frequency of {theta}.");
        if (gguf.Contains(GgufRopeFactors.TensorName)) return GgufRopeFactors.Read(gguf.File, theta, size);
        var type = gguf.FindString("rope.scaling.type") ?? "none";
        var factor = gguf.FindNumber("rope.scaling.factor") ?? gguf.FindNumber("rope.scale_linear") ?? 1;
        return type switch
        {
            "none" or "linear" when factor is 0 or 1 || type == "none" => new RopeParameters { Theta = theta },
            "linear" => new RopeParameters { Theta = theta, Type = RopeType.Linear, Factor = factor },
            _ => throw gguf.Unsupported($"stretches rotary positions by '{type}', which this decoder does not do."),
        };
    }

    /// <summary>The metadata that say it, without the architecture before each key.</summary>
    public static IEnumerable<(string Key, object Value)> Fields(RopeParameters rope)
    {
        if (rope.Type != RopeType.Linear) yield break;
        yield return ("rope.scaling.type", "linear");
        yield return ("rope.scaling.factor", (float)rope.Factor);
    }

    /// <summary>The tensors that say it.</summary>
    /// <param name="rope">The settings.</param>
    /// <param name="size">How many dimensions of a head are rotated.</param>
    public static IEnumerable<GgufTensorSource> Tensors(RopeParameters rope, int size)
    {
        if (rope.Type == RopeType.Llama3) yield return Factors(GgufRopeFactors.TensorName, GgufRopeFactors.Compute(rope, size));
    }

    private static GgufTensorSource Factors(string name, float[] factors) => new(name, GgufTensorType.F32, [factors.Length], () => tensor(factors));
}
