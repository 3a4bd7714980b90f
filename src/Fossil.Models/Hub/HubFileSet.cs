namespace Fossil.Models.Hub;

/// <summary>Files of a repository that belong together.</summary>
internal abstract class HubFileSet
{
    /// <summary>Which of a repository's files these are.</summary>
    /// <exception cref="HubException">The repository does not have them.</exception>
    public abstract IEnumerable<string> Needed(string id, IReadOnlyList<string> files);

    /// <summary>Whether the cache has all of them of a commit.</summary>
    public abstract bool IsComplete(HubCache cache, string commit);

    /// <summary>What it is, for messages.</summary>
    public virtual string Describe(string id) => id;
}
