namespace Fossil.Serialization;

/// <summary>
/// What PyTorch's wrappers add to the names of the module that they wrap, when its state is saved through them. A name counts without that only where the model has no such name as it stands and
/// has the one without: a module of a model may well be called <c>module</c>.
/// </summary>
internal static class WrapperNames
{
    // PEFT's own prefix, behind which the model's own names begin.
    private const string Peft = "base_model.model.";

    // torch.compile, FSDP (and as it was at first), activation checkpointing, Lightning; DataParallel, DistributedDataParallel, DeepSpeed and averaged models.
    private static readonly string[] Wrappers = ["_orig_mod", "_fsdp_wrapped_module", "_fpw_module", "_checkpoint_wrapped_module", "_forward_module", "module"];

    /// <summary>A name as it stands, and then what it may mean, likeliest first.</summary>
    public static IEnumerable<string> Candidates(string name)
    {
        string[] starts = [name, .. Inner(name)];
        foreach (var start in starts) yield return start;

        // A model may have a module called so and be wrapped all the same: wrappers of the whole model come first.
        foreach (var segments in starts.Select(start => start.Split('.')))
        {
            for (var taken = 1; taken < segments.Length && Wrappers.Contains(segments[taken - 1]); taken++) yield return string.Join('.', segments[taken..]);
        }

        foreach (var segments in starts.Select(start => start.Split('.'))) yield return string.Join('.', segments[..^1].Where(segment => !Wrappers.Contains(segment)).Append(segments[^1]));
    }

    /// <summary>What would make the model's names of names that it does not have; null where nothing simple does.</summary>
    /// <param name="unknown">The names.</param>
    /// <param name="isKnown">Whether the model has a name.</param>
    /// <param name="modules">The names of the model's own modules.</param>
    public static string? Hint(IReadOnlyList<string> unknown, Func<string, bool> isKnown, IEnumerable<string> modules)
    {
        if (unknown.Count == 0) return null;
        var segments = unknown[0].Split('.');
        for (var taken = 1; taken < segments.Length; taken++)
        {
            var prefix = string.Join('.', segments[..taken]) + ".";
            if (unknown.All(name => name.StartsWith(prefix, StringComparison.Ordinal) && isKnown(name[prefix.Length..])))
                return $"Without '{prefix}' before them these names would be the model's: they were saved with a module that holds the model. Take that off, or save the model itself.";
        }

        foreach (var module in modules)
        {
            if (unknown.All(name => isKnown($"{module}.{name}"))) return $"With '{module}.' before them these names would be the model's: they were saved with its inner module. Put that before them, or load into the inner module.";
        }

        return null;
    }

    /// <summary>A name without PEFT's prefix.</summary>
    public static string WithoutPeft(string name) => name.StartsWith(Peft, StringComparison.Ordinal) ? name[Peft.Length..] : name;

    private static IEnumerable<string> Inner(string name)
    {
        for (var at = name.IndexOf(Peft, StringComparison.Ordinal); at >= 0; at = name.IndexOf(Peft, at + Peft.Length, StringComparison.Ordinal))
        {
            if (at == 0 || name[at - 1] == '.') yield return name[(at + Peft.Length)..];
        }
    }
}
