using System.Collections.Immutable;

namespace Fossil.CodeModel.Declarations;

/// <summary>Which files declare a name, and which nodes of a <see cref="NameGraph"/> mention it.</summary>
internal sealed class NameIndex
{
    private readonly Dictionary<ulong, List<int>> declaring = [];
    private readonly Dictionary<ulong, int> namespaces = [];
    private readonly int[] seen;
    private Dictionary<ulong, List<int>>? mentioning;
    private int searches;

    /// <summary>Reads what <paramref name="files"/> declare.</summary>
    public NameIndex(FileDeclarations[] files)
    {
        seen = new int[files.Length];
        for (var file = 0; file < files.Length; file++)
        {
            foreach (var name in files[file].Declared) Add(declaring, name, file);
            CountNamespaces(files[file], 1);
        }
    }

    /// <summary>The namespaces that have something in any file.</summary>
    public IEnumerable<ulong> Namespaces => namespaces.Keys;

    /// <summary>The files that declare any of <paramref name="names"/>, each once.</summary>
    public int[] Declaring(ImmutableArray<ulong> names)
    {
        var found = new List<int>();
        searches++;
        foreach (var name in names)
        {
            if (!declaring.TryGetValue(name, out var files)) continue;
            foreach (var file in files)
            {
                if (seen[file] == searches) continue;
                seen[file] = searches;
                found.Add(file);
            }
        }
        return [.. found];
    }

    /// <summary>The nodes that mention <paramref name="name"/>.</summary>
    public IReadOnlyList<int> Mentioning(ulong name) => mentioning!.TryGetValue(name, out var nodes) ? nodes : [];

    /// <summary>Reads what each node mentions, once: a build never asks for it, an editor does at the second version.</summary>
    public void IndexMentions(int nodes, Func<int, ImmutableArray<ulong>> mentioned)
    {
        if (mentioning is not null) return;
        mentioning = [];
        for (var node = 0; node < nodes; node++)
        {
            foreach (var name in mentioned(node)) Add(mentioning, name, node);
        }
    }

    /// <summary>Replaces what a file declares.</summary>
    public void Change(FileDeclarations before, FileDeclarations now, int file)
    {
        Change(declaring, before.Declared, now.Declared, file);
        CountNamespaces(before, -1);
        CountNamespaces(now, 1);
    }

    /// <summary>Replaces what a node mentions.</summary>
    public void ChangeMentions(ImmutableArray<ulong> before, ImmutableArray<ulong> now, int node) => Change(mentioning!, before, now, node);

    private void CountNamespaces(FileDeclarations file, int change)
    {
        foreach (var name in file.Namespaces)
        {
            var count = (namespaces.TryGetValue(name, out var known) ? known : 0) + change;
            if (count == 0) namespaces.Remove(name);
            else namespaces[name] = count;
        }
    }

    private static void Change(Dictionary<ulong, List<int>> index, ImmutableArray<ulong> before, ImmutableArray<ulong> now, int at)
    {
        if (before == now) return;
        foreach (var name in before.Except(now))
        {
            index[name].Remove(at);
            if (index[name].Count == 0) index.Remove(name);
        }
        foreach (var name in now.Except(before)) Add(index, name, at);
    }

    private static void Add(Dictionary<ulong, List<int>> index, ulong name, int at)
    {
        if (!index.TryGetValue(name, out var all)) index.Add(name, all = []);
        all.Add(at);
    }
}
