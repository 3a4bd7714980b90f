namespace Fossil.Adapters;

/// <summary>Puts back, when it is disposed, what was changed for a while.</summary>
/// <param name="end">What is done then.</param>
internal sealed class Restoration(Action end) : IDisposable
{
    public void Dispose() => end();
}
