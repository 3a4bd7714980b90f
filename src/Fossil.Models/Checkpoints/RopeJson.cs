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
        if (section is not { } rope) return new RopeParameters { Theta = theta };

        var name = json.Text(rope, "rope_type") ?? json.Text(rope, "type") ?? "default";
        var result = new RopeParameters { Theta = theta };
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
            _ => throw json.Error($"has rope_type \"{name}\"; this decoder does default, linear and llama3"),
        };

        double Required(string field) => json.Number(rope, field) ?? throw json.Error($"has no {field} in its rotary settings");
    }

    /// <summary>The section <c>rope_parameters</c>.</summary>
    public static JsonObject Write(RopeParameters rope)
    {
        var json = new JsonObject { ["rope_theta"] = rope.Theta, ["rope_type"] = rope.Type switch { RopeType.Linear => "linear", RopeType.Llama3 => "llama3", _ => "default" } };
        if (rope.Type != RopeType.Default) json["factor"] = rope.Factor;
        if (rope.Type == RopeType.Llama3)
        {
            json["low_freq_factor"] = rope.LowFrequencyFactor;
            json["high_freq_factor"] = rope.HighFrequencyFactor;
            json["original_max_position_embeddings"] = rope.OriginalMaxPositionEmbeddings;
        }
        return json;
    }
}
