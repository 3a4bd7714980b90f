namespace Fossil.Models.Gguf;

/// <summary>How tokens are drawn by default, in a GGUF file's metadata (<c>general.sampling.*</c>), which llama.cpp's programs take for their settings.</summary>
internal static class GgufSampling
{
    private const string Prefix = "general.sampling.";
    private const string Temperature = Prefix + "temp", TopK = Prefix + "top_k", TopP = Prefix + "top_p", MinP = Prefix + "min_p", Penalty = Prefix + "penalty_repeat", PenalisedTokens = Prefix + "penalty_last_n";

    /// <summary>What a file states; null where it states nothing of it.</summary>
    /// <exception cref="GgufException">A value is none that generation can have.</exception>
    public static GenerationConfig? Read(GgufMetadata metadata)
    {
        if (!new[] { Temperature, TopK, TopP, MinP, Penalty }.Any(metadata.Contains)) return null;
        var temperature = Number(Temperature, value => value >= 0, "at least 0");
        var penalty = Number(Penalty, value => value > 0, "above 0");
        return new GenerationConfig
        {
            // A file that states how tokens are drawn means them to be drawn, unless it states the temperature of the likeliest.
            DoSample = temperature != 0 && new[] { Temperature, TopK, TopP, MinP }.Any(metadata.Contains),
            Temperature = temperature,
            // All, where there is no number above 0.
            TopK = metadata.FindInteger(TopK) is { } k ? (int)Int128.Clamp(k, 0, int.MaxValue) : 0,
            TopP = Number(TopP, value => value is >= 0 and <= 1, "a probability"),
            MinP = Number(MinP, value => value is >= 0 and <= 1, "a probability"),
            RepetitionPenalty = metadata.FindInteger(PenalisedTokens) == 0 ? null : penalty,
        };

        double? Number(string key, Func<double, bool> isRight, string expected) => metadata.FindNumber(key) is not { } value || isRight(value) ? metadata.FindNumber(key)
            : throw new GgufException(GgufError.InvalidValue, metadata.Path, $"the metadata's '{key}' is {value}; it must be {expected}.");
    }

    /// <summary>Writes what a checkpoint says: all of it where it draws, so that llama.cpp's own settings do not join in. Of one that takes the likeliest token nothing is written, as by llama.cpp's converter.</summary>
    public static void Write(GenerationConfig generation, GgufMetadata metadata)
    {
        var options = generation.ToOptions();
        if (generation.DoSample)
        {
            metadata[TopK] = GgufValue.Of(options.TopK ?? 0);
            metadata[TopP] = GgufValue.Of((float)(options.TopP ?? 1));
            metadata[MinP] = GgufValue.Of((float)(options.MinP ?? 0));
            metadata[Temperature] = GgufValue.Of((float)options.Temperature);
        }

        if (options.RepetitionPenalty == 1) return;
        metadata[Penalty] = GgufValue.Of((float)options.RepetitionPenalty);
        // Of the whole text, as in transformers.
        metadata[PenalisedTokens] = GgufValue.Of(-1);
    }
}
