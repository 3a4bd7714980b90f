using Fossil.Models.Export;
using static TorchSharp.torch;

namespace Fossil.Models.Gguf;

/// <summary>Rotary positions in GGUF: metadata, and tensors by whose elements frequencies are divided.</summary>
internal static class GgufRope
{
    private const string LongFactors = "rope_factors_long.weight";
    private const string ShortFactors = "rope_factors_short.weight";

    /// <summary>Whether a tensor is part of the configuration, not of the model.</summary>
    public static bool IsFactors(string tensor) => tensor is GgufRopeFactors.TensorName or LongFactors or ShortFactors;

    /// <summary>The settings that a file states.</summary>
    /// <param name="gguf">The file.</param>
    /// <param name="size">How many dimensions of a head are rotated.</param>
    /// <param name="maxPositions">The longest sequence that the model was made for.</param>
    public static RopeParameters Read(GgufConfigReader gguf, int size, int maxPositions)
    {
        var theta = gguf.FindNumber("rope.freq_base") ?? 10_000;
        if (theta <= 0) throw gguf.Contradiction($"has a base frequency of {theta}.");
        if (gguf.Contains(GgufRopeFactors.TensorName)) return GgufRopeFactors.Read(gguf.File, theta, size);
        if (gguf.Contains(LongFactors)) return ReadLongRope(gguf, theta, size, maxPositions);
        var type = gguf.FindString("rope.scaling.type") ?? "none";
        var factor = gguf.FindNumber("rope.scaling.factor") ?? gguf.FindNumber("rope.scale_linear") ?? 1;
        return type switch
        {
            "none" or "linear" when factor is 0 or 1 || type == "none" => new RopeParameters { Theta = theta },
            "linear" => new RopeParameters { Theta = theta, Type = RopeType.Linear, Factor = factor },
            "yarn" => new RopeParameters
            {
                Theta = theta,
                Type = RopeType.Yarn,
                Factor = factor,
                OriginalMaxPositionEmbeddings = gguf.FindCount("rope.scaling.original_context_length") is > 0 and var original ? original : maxPositions,
                BetaFast = gguf.FindNumber("rope.scaling.yarn_beta_fast") ?? 32,
                BetaSlow = gguf.FindNumber("rope.scaling.yarn_beta_slow") ?? 1,
            },
            _ => throw gguf.Unsupported($"stretches rotary positions by '{type}', which this decoder does not do."),
        };
    }

    /// <summary>The metadata that say it, without the architecture before each key.</summary>
    /// <exception cref="ExportException">GGUF cannot say it.</exception>
    public static IEnumerable<(string Key, object Value)> Fields(RopeParameters rope)
    {
        if (rope.Type == RopeType.Linear)
        {
            yield return ("rope.scaling.type", "linear");
            yield return ("rope.scaling.factor", (float)rope.Factor);
        }
        else if (rope.Type == RopeType.Yarn)
        {
            // llama.cpp knows the scaling and the ends of the transition by themselves.
            if (rope.BetaFast != 32 || rope.BetaSlow != 1 || !rope.Truncate || Math.Abs(rope.Scaling - rope.DefaultScaling) > 1e-6)
                throw new ExportException("The rotary positions are stretched by YaRN with a beta_fast other than 32, a beta_slow other than 1, an attention_factor of their own, or without truncation, which GGUF cannot say.");
            yield return ("rope.scaling.type", "yarn");
            yield return ("rope.scaling.factor", (float)rope.Factor);
            yield return ("rope.scaling.original_context_length", (uint)rope.OriginalMaxPositionEmbeddings);
        }
        else if (rope.Type == RopeType.Dynamic)
        {
            throw new ExportException("The rotary positions are stretched by the sequence's own length (rope_type dynamic), which GGUF cannot say.");
        }
        else if (rope.Type == RopeType.LongRope)
        {
            yield return ("rope.scaling.type", "longrope");
            yield return ("rope.scaling.original_context_length", (uint)rope.OriginalMaxPositionEmbeddings);
            yield return ("rope.scaling.attn_factor", (float)rope.Scaling);
        }
    }

    /// <summary>The tensors that say it.</summary>
    /// <param name="rope">The settings.</param>
    /// <param name="size">How many dimensions of a head are rotated.</param>
    public static IEnumerable<GgufTensorSource> Tensors(RopeParameters rope, int size)
    {
        if (rope.Type == RopeType.Llama3) yield return Factors(GgufRopeFactors.TensorName, GgufRopeFactors.Compute(rope, size));
        if (rope.Type != RopeType.LongRope) yield break;
        yield return Factors(LongFactors, [.. rope.LongFactors.Select(factor => (float)factor)]);
        yield return Factors(ShortFactors, [.. rope.ShortFactors.Select(factor => (float)factor)]);
    }

    private static RopeParameters ReadLongRope(GgufConfigReader gguf, double theta, int size, int maxPositions)
    {
        var original = gguf.FindCount("rope.scaling.original_context_length") ?? throw gguf.Contradiction($"has {LongFactors}, but does not state from which length on they count ('rope.scaling.original_context_length').");
        if (original == 0) throw gguf.Contradiction("has an original context of no tokens.");
        var rope = new RopeParameters
        {
            Theta = theta,
            Type = RopeType.LongRope,
            OriginalMaxPositionEmbeddings = original,
            Factor = maxPositions / (double)original,
            LongFactors = Read(LongFactors),
            ShortFactors = Read(ShortFactors),
        };
        // A scaling that follows from the rest is left to follow, as float32 has rounded what is stated.
        return gguf.FindNumber("rope.scaling.attn_factor") is { } stated && Math.Abs(stated - rope.DefaultScaling) > 1e-6 ? rope with { AttentionFactor = stated } : rope;

        double[] Read(string name)
        {
            using var factors = gguf.File.Load(name, ScalarType.Float64);
            var values = factors.data<double>().ToArray();
            return values.Length == size / 2 && values.All(value => value > 0 && double.IsFinite(value)) ? values
                : throw gguf.Contradiction($"has {values.Length} elements in {name} for {size} rotated dimensions, or some that are not above 0.");
        }
    }

    private static GgufTensorSource Factors(string name, float[] factors) => new(name, GgufTensorType.F32, [factors.Length], () => tensor(factors));
}
