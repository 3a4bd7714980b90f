using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fossil.Models;

/// <summary>Rotary positions in a <c>config.json</c>: in the new form (<c>rope_parameters</c>) or the old one (<c>rope_theta</c>, <c>rope_scaling</c>).</summary>
internal static class RopeJson
{
    /// <summary>The settings of a model with one table of angles.</summary>
    public static RopeParameters Read(ModelConfigReader json) => Read(json, json.Section("rope_parameters") ?? json.Section("rope_scaling"));

    /// <summary>The settings in one section, or the default where there is none.</summary>
    public static RopeParameters Read(ModelConfigReader json, JsonElement? section)
    {
        var theta = (section is { } s ? json.Number(s, "rope_theta") : null) ?? json.Number("rope_theta") ?? 10_000;
        var part = (section is { } inside ? json.Number(inside, "partial_rotary_factor") : null) ?? json.Number("partial_rotary_factor") ?? 1;
        if (part is not (> 0 and <= 1)) throw json.Error($"has partial_rotary_factor {part}, which is no share of a head");
        var result = new RopeParameters { Theta = theta, PartialRotaryFactor = part };
        if (section is not { } rope) return result;

        var name = json.Text(rope, "rope_type") ?? json.Text(rope, "type") ?? "default";
        return name switch
        {
            "default" => result,
            "linear" => result with { Type = RopeType.Linear, Factor = Required("factor") },
            "llama3" => result with
            {
                Type = RopeType.Llama3,
                Factor = Required("factor"),
                LowFrequencyFactor = Required("low_freq_factor"),
                HighFrequencyFactor = Required("high_freq_factor"),
                OriginalMaxPositionEmbeddings = json.Integer(rope, "original_max_position_embeddings") ?? throw json.Error("has no original_max_position_embeddings for llama3"),
            },
            "dynamic" => result with { Type = RopeType.Dynamic, Factor = Required("factor"), OriginalMaxPositionEmbeddings = OriginalOrMax() },
            "yarn" => Yarn(),
            // "su" is its name in the first files.
            "longrope" or "su" => LongRope(),
            _ => throw json.Error($"has rope_type \"{name}\"; this decoder does default, linear, dynamic, yarn, llama3 and longrope"),
        };

        RopeParameters Yarn()
        {
            var original = OriginalOrMax();
            var factor = json.Number(rope, "factor") ?? FactorOf(original);
            return result with
            {
                Type = RopeType.Yarn,
                OriginalMaxPositionEmbeddings = original,
                Factor = factor,
                AttentionFactor = json.Number(rope, "attention_factor")
                    // DeepSeek's files state the scaling by two others.
                    ?? (json.Number(rope, "mscale") is > 0 and var scale && json.Number(rope, "mscale_all_dim") is > 0 and var all ? RopeParameters.YarnScaling(factor, scale) / RopeParameters.YarnScaling(factor, all) : null),
                BetaFast = json.Number(rope, "beta_fast") ?? 32,
                BetaSlow = json.Number(rope, "beta_slow") ?? 1,
                Truncate = json.Flag(rope, "truncate") ?? true,
            };
        }

        RopeParameters LongRope()
        {
            var original = json.Integer(rope, "original_max_position_embeddings") ?? json.Integer("original_max_position_embeddings") ?? throw json.Error("has no original_max_position_embeddings for longrope");
            return result with
            {
                Type = RopeType.LongRope,
                OriginalMaxPositionEmbeddings = original,
                Factor = json.Number(rope, "factor") ?? FactorOf(original),
                AttentionFactor = json.Number(rope, "attention_factor"),
                ShortFactors = json.Numbers(rope, "short_factor"),
                LongFactors = json.Numbers(rope, "long_factor"),
            };
        }

        int OriginalOrMax() => json.Integer(rope, "original_max_position_embeddings") ?? json.Integer("max_position_embeddings") ?? throw json.Error($"has neither original_max_position_embeddings nor max_position_embeddings, which {name} needs");

        double FactorOf(int original) => (json.Integer("max_position_embeddings") ?? original) / (double)original;

        double Required(string field) => json.Number(rope, field) ?? throw json.Error($"has no {field} in its rotary settings");
    }

    /// <summary>The section <c>rope_parameters</c>.</summary>
    public static JsonObject Write(RopeParameters rope)
    {
        var type = rope.Type switch
        {
            RopeType.Linear => "linear",
            RopeType.Dynamic => "dynamic",
            RopeType.Yarn => "yarn",
            RopeType.Llama3 => "llama3",
            RopeType.LongRope => "longrope",
            _ => "default",
        };
        var json = new JsonObject { ["rope_theta"] = rope.Theta, ["rope_type"] = type };
        if (rope.PartialRotaryFactor != 1) json["partial_rotary_factor"] = rope.PartialRotaryFactor;
        if (rope.Type != RopeType.Default) json["factor"] = rope.Factor;
        if (rope.Type == RopeType.Llama3)
        {
            json["low_freq_factor"] = rope.LowFrequencyFactor;
            json["high_freq_factor"] = rope.HighFrequencyFactor;
        }
        if (rope.Type is not (RopeType.Default or RopeType.Linear)) json["original_max_position_embeddings"] = rope.OriginalMaxPositionEmbeddings;
        if (rope.Type == RopeType.Yarn)
        {
            json["beta_fast"] = rope.BetaFast;
            json["beta_slow"] = rope.BetaSlow;
            if (!rope.Truncate) json["truncate"] = false;
        }
        if (rope.Type == RopeType.LongRope)
        {
            json["short_factor"] = new JsonArray([.. rope.ShortFactors.Select(factor => (JsonNode)factor)]);
            json["long_factor"] = new JsonArray([.. rope.LongFactors.Select(factor => (JsonNode)factor)]);
        }
        if (rope.AttentionFactor is { } scaling) json["attention_factor"] = scaling;
        return json;
    }
}
