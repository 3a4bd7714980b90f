using Fossil.Serialization;

namespace Fossil.Adapters;

/// <summary>An adapter's folder that is being read: configuration, weights, and what a method keeps beside them.</summary>
internal sealed class AdapterFolder : IDisposable
{
    private AdapterFolder(AdapterConfig config, AdapterFile weights, AdapterStart? start) => (Config, Weights, Start) = (config, weights, start);

    /// <summary>The configuration.</summary>
    public AdapterConfig Config { get; }

    /// <summary>The trained values.</summary>
    public AdapterFile Weights { get; }

    /// <summary>What the adapter started from; null where its method keeps nothing of it, and where the folder does not have it.</summary>
    public AdapterStart? Start { get; }

    /// <summary>Opens a folder that holds a configuration.</summary>
    /// <exception cref="ConfigurationException">The configuration has a value that cannot be used.</exception>
    /// <exception cref="SafetensorsException">A tensor file is damaged.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static AdapterFolder Open(string folder)
    {
        var (config, weights) = AdapterFile.OpenFolder(folder);
        return Open(folder, config, weights);
    }

    /// <summary>Opens a folder with the values of an adapter whose configuration is known.</summary>
    /// <exception cref="SafetensorsException">A tensor file is damaged.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static AdapterFolder Open(string folder, AdapterConfig config) => Open(folder, config, AdapterFile.Open(folder));

    /// <summary>Closes the files.</summary>
    public void Dispose()
    {
        Weights.Dispose();
        Start?.Dispose();
    }

    private static AdapterFolder Open(string folder, AdapterConfig config, AdapterFile weights)
    {
        try
        {
            return new AdapterFolder(config, weights, AdapterMethods.For(config).OpenStart(folder, config));
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }
}
