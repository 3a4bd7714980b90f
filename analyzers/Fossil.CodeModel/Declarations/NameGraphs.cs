namespace Fossil.CodeModel.Declarations;

/// <summary>Keeps the graph of the version that was read last, for the next one to go on from.</summary>
internal sealed class NameGraphs
{
    private readonly object gate = new();
    private NameGraph? last;

    /// <summary>A graph of <paramref name="files"/>. It holds until another version is asked for.</summary>
    public NameGraph Of(FileDeclarations[] files, ulong environment)
    {
        lock (gate)
        {
            if (last is null || !last.TryGoOn(files, environment)) last = new NameGraph(files, environment);
            return last;
        }
    }
}
