namespace Fossil.Adapters;

/// <summary>What a method keeps of an adapter's start in the adapter's folder, beside the configuration and the trained values. Disposing it closes its files.</summary>
internal abstract class AdapterStart : IDisposable
{
    /// <summary>Gives it to <paramref name="layers"/>, after all of it is read and checked.</summary>
    /// <exception cref="AdapterFileException">It does not fit the layers.</exception>
    public abstract void Set(IReadOnlyList<AdapterLayer> layers);

    /// <inheritdoc/>
    public abstract void Dispose();
}
