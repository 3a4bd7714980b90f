namespace Fossil.Adapters;

/// <summary>One named adapter of a model.</summary>
/// <param name="name">Its name.</param>
/// <param name="config">Its configuration.</param>
internal sealed class AttachedAdapter(string name, AdapterConfig config)
{
    /// <summary>The adapter's name.</summary>
    public string Name { get; } = name;

    /// <summary>The configuration it was made from, with its targets as names.</summary>
    public AdapterConfig Config { get; } = config;

    /// <summary>Its method.</summary>
    public AdapterMethod Method { get; } = AdapterMethods.For(config);

    /// <summary>Its layers, in the order of the model's modules.</summary>
    public List<AdapterLayer> Layers { get; } = [];

    /// <summary>What its layers share; null where they share nothing.</summary>
    public SharedTensors? Shared { get; set; }

    /// <summary>Whether <see cref="Config"/> says everything: attributes can give targets different settings, for which PEFT's file has no place.</summary>
    public bool HasOneConfig { get; init; } = true;

    /// <summary>Whether it takes over a part of the base weights (PiSSA).</summary>
    public bool ChangesBase => Layers.Exists(layer => layer.ChangesBase);

    /// <summary>Whether the user was told what PEFT makes of its files.</summary>
    public bool IsPeftWarned { get; set; }

    /// <summary>Whether the user froze it, or it was loaded for use only.</summary>
    public bool IsFrozen { get; set; }
}
