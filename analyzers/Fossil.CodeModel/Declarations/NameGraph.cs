using System.Collections.Immutable;

namespace Fossil.CodeModel.Declarations;

/// <summary>
/// What each file depends on, by names: a file leads to every file that declares a name that it mentions, and on from there. The fingerprint of a
/// file changes with any of them, and seldom with another. Too many dependencies cost time, a missing one would leave old results standing:
/// so a name is followed whatever it means where it stands.
/// </summary>
/// <remarks>
/// The nodes are the declarations of each file, then the text of each file with its bodies, which nothing leads to, then what every file depends on.
/// A graph can go on to the next version of its project: then only the nodes that reach a change are searched again.
/// </remarks>
internal sealed class NameGraph
{
    /// <summary>With more edited files than this at once, a new graph takes no longer.</summary>
    private const int MostEdits = 64;

    private readonly NameIndex names;
    private readonly NodeSearch search;
    private FileDeclarations[] files;
    private ImmutableArray<ulong> global;
    private ulong everywhere;

    /// <summary>Reads <paramref name="files"/>; <paramref name="environment"/> is what all depend on besides.</summary>
    public NameGraph(FileDeclarations[] files, ulong environment)
    {
        this.files = files;
        global = GlobalNames.Of(files);
        names = new NameIndex(files);
        search = new NodeSearch((2 * files.Length) + 1, node => node < Count ? this.files[node].Hash : 0, node => names.Declaring(Mentioned(node)));
        everywhere = Everywhere(environment);
    }

    private int Count => files.Length;

    private int Global => 2 * Count;

    /// <summary>
    /// Changes when what the declarations of <paramref name="file"/> say or mean may have changed. Null where the graph has gone on to another version than <paramref name="version"/>.
    /// </summary>
    public ulong? OfDeclarations(FileDeclarations[] version, int file) => Of(version, file);

    /// <summary>As <see cref="OfDeclarations"/>, for what the text of <paramref name="file"/> means, its own bodies aside.</summary>
    public ulong? OfText(FileDeclarations[] version, int file) => Of(version, version.Length + file);

    /// <summary>Goes on to another version; false where it has so little in common with this one that a new graph is as good.</summary>
    public bool TryGoOn(FileDeclarations[] version, ulong environment)
    {
        lock (names)
        {
            if (version.Length != Count) return false;
            var edited = new List<int>();
            for (var file = 0; file < Count && edited.Count <= MostEdits; file++)
            {
                if (!ReferenceEquals(files[file], version[file])) edited.Add(file);
            }
            if (edited.Count > MostEdits) return false;
            GoOn(version, edited);
            everywhere = Everywhere(environment);
            return true;
        }
    }

    private void GoOn(FileDeclarations[] version, List<int> edited)
    {
        names.IndexMentions(Global + 1, Mentioned);
        // What reached a change before, or may reach it now, is forgotten first, by the names as they were: those of other files are the same now.
        foreach (var file in edited)
        {
            var (before, now) = (files[file], version[file]);
            Forget(Count + file);
            if (before.Hash == now.Hash) continue;
            Forget(file);
            foreach (var name in before.Declared.Except(now.Declared).Concat(now.Declared.Except(before.Declared)))
            {
                foreach (var node in names.Mentioning(name)) Forget(node);
            }
        }

        var globalNow = edited.Any(file => !files[file].MentionedGlobally.SequenceEqual(version[file].MentionedGlobally)) ? GlobalNames.Of(version) : global;
        if (globalNow != global) Forget(Global);
        foreach (var file in edited)
        {
            names.Change(files[file], version[file], file);
            names.ChangeMentions(files[file].Mentioned, version[file].Mentioned, file);
            names.ChangeMentions(files[file].MentionedAnywhere, version[file].MentionedAnywhere, Count + file);
        }
        names.ChangeMentions(global, globalNow, Global);
        (files, global) = (version, globalNow);
    }

    /// <summary>Forgets what is known of a node and of all that lead to it.</summary>
    private void Forget(int start)
    {
        var open = new Stack<int>([start]);
        while (open.Count > 0)
        {
            var node = open.Pop();
            // A node is known only if all that it leads to is: what leads to an unknown one is forgotten already.
            if (!search.Forget(node) || node >= Count) continue;
            foreach (var name in files[node].Declared)
            {
                foreach (var from in names.Mentioning(name)) open.Push(from);
            }
        }
    }

    private ulong? Of(FileDeclarations[] version, int node)
    {
        lock (names) return ReferenceEquals(version, files) ? Fingerprint.Then(everywhere, search.Reach(node)) : null;
    }

    private ImmutableArray<ulong> Mentioned(int node) => node == Global ? global : node < Count ? files[node].Mentioned : files[node - Count].MentionedAnywhere;

    private ulong Everywhere(ulong environment)
    {
        foreach (var file in files) environment = Fingerprint.Then(environment, file.GlobalUsings);
        return Fingerprint.Then(environment, unchecked(Fingerprint.Sum(names.Namespaces) + search.Reach(Global)));
    }
}
