using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>
/// Whether a module and each module below it is in training mode, as it was found; disposing puts all of them back. A module may well be in another mode than the one around it:
/// <c>train()</c> and <c>eval()</c> on the root would not bring that back.
/// </summary>
internal sealed class TrainingModes : IDisposable
{
    // Parents before children, so that what a parent does to its children is put right after it.
    private readonly List<(nn.Module Module, bool Training)> found = [];

    private TrainingModes(nn.Module root)
    {
        Visit(root, new(ReferenceEqualityComparer.Instance));
        found.Reverse();
    }

    /// <summary>Remembers the modes, and changes none.</summary>
    public static TrainingModes Of(nn.Module root) => new(root);

    /// <summary>Remembers the modes, and puts all modules into evaluation mode.</summary>
    public static TrainingModes Evaluate(nn.Module root)
    {
        var modes = new TrainingModes(root);
        if (modes.found.Exists(entry => entry.Training)) root.eval();
        return modes;
    }

    /// <summary>Puts every module into the mode that it was found in.</summary>
    public void Dispose()
    {
        foreach (var (module, training) in found)
        {
            if (module.training != training) module.train(training);
        }
    }

    private void Visit(nn.Module module, HashSet<nn.Module> visited)
    {
        if (!visited.Add(module)) return;
        foreach (var child in module.children()) Visit(child, visited);
        found.Add((module, module.training));
    }
}
