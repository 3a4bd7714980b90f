namespace Fossil.Adapters;

/// <summary>What a method can do beside training an adapter on a layer that multiplies by a matrix.</summary>
[Flags]
internal enum AdapterAbilities
{
    /// <summary>Nothing more.</summary>
    None = 0,

    /// <summary>An adapter can be merged into the base's parameters, and taken out again.</summary>
    Merging = 1,

    /// <summary>Several of its adapters can be active at once.</summary>
    SeveralActive = 2,

    /// <summary>Each row of a batch can use an adapter of its own.</summary>
    MixedBatches = 4,

    /// <summary>Its change of a weight can be written as a product of low rank, as LoRA has it, exactly or cut to its largest singular values.</summary>
    LowRankConversion = 8,

    /// <summary>It adapts embeddings.</summary>
    Embeddings = 16,
}
