namespace Fossil.Models;

/// <summary>How text is generated; the names are Hugging Face's (<c>GenerationConfig</c>).</summary>
public sealed record GenerationOptions
{
    /// <summary>The largest number of tokens after the prompt.</summary>
    public int MaxNewTokens { get; init; } = 128;

    /// <summary>Divides the logits; 0 takes the likeliest token always (greedy).</summary>
    public double Temperature { get; init; }

    /// <summary>Only so many of the likeliest tokens are drawn from; null: all.</summary>
    public int? TopK { get; init; }

    /// <summary>Only the likeliest tokens that together reach this probability are drawn from; null: all.</summary>
    public double? TopP { get; init; }

    /// <summary>Only tokens are drawn that have at least this share of the likeliest one's probability; null: all.</summary>
    public double? MinP { get; init; }

    /// <summary>Divides the positive logits, and multiplies the negative ones, of tokens that stand in the text already; 1 for none.</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Seed of the draws; the same prompt and seed give the same text, alone or in a batch. Null: another text each time.</summary>
    public int? Seed { get; init; }

    /// <summary>Tokens that end a text; they are part of it. Null: those of the model (<see cref="CausalLMConfig.StopTokenIds"/>).</summary>
    public IReadOnlyList<int>? StopTokens { get; init; }

    /// <summary>Further tokens that end a text, such as a chat template's (<see cref="Chat.ChatTemplate.StopTokens"/>).</summary>
    public IReadOnlyList<int> AdditionalStopTokens { get; init; } = [];

    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfNegative(MaxNewTokens);
        if (!(Temperature >= 0 && double.IsFinite(Temperature))) throw new ArgumentOutOfRangeException(nameof(Temperature), Temperature, "The temperature must be at least 0.");
        if (TopK is < 1) throw new ArgumentOutOfRangeException(nameof(TopK), TopK, "Top-k must leave at least one token.");
        if (TopP is { } p && !(p > 0 && p <= 1)) throw new ArgumentOutOfRangeException(nameof(TopP), TopP, "Top-p is a probability above 0.");
        if (MinP is { } share && !(share >= 0 && share <= 1)) throw new ArgumentOutOfRangeException(nameof(MinP), MinP, "Min-p is a share from 0 to 1.");
        if (!(RepetitionPenalty > 0 && double.IsFinite(RepetitionPenalty))) throw new ArgumentOutOfRangeException(nameof(RepetitionPenalty), RepetitionPenalty, "The repetition penalty must be above 0.");
    }
}
