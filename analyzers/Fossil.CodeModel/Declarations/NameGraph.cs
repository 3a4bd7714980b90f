using System.Collections.Immutable;

namespace Fossil.CodeModel.Declarations;

/// <summary>
/// What each file depends on, by names: a file leads to every file that declares a name that it mentions, and on from there. The fingerprint of a
/// file changes with any of them, and seldom with another. Too many dependencies cost time, a missing one would leave old results standing:
/// so a name is followed whatever it means where it stands.
/// </summary>
internal sealed class NameGraph
{
    /// <summary>Methods that the compiler calls where no name is written, and that may be extension methods.</summary>
    private static readonly string[] Patterns =
    [
        "GetEnumerator", "GetAsyncEnumerator", "GetAwaiter", "GetPinnableReference", "Deconstruct", "Add", "Select", "SelectMany", "Where", "Cast", "OrderBy",
        "OrderByDescending", "ThenBy", "ThenByDescending", "GroupBy", "Join", "GroupJoin",
    ];

    private readonly IReadOnlyList<FileDeclarations> files;
    // The last declaration of each name, and for each declaration the one of the same name before it, or -1.
    private readonly Dictionary<ulong, int> lastOf = [];
    private readonly List<(int File, int Before)> declarations = [];
    private readonly int[] seen;
    private int searches;
    private readonly int[][] next;
    private readonly int[] order;
    private readonly ulong[] reach;
    private readonly ulong everywhere;
    private readonly Stack<int> open = new();
    private int opened;

    /// <summary>Reads <paramref name="files"/>; <paramref name="environment"/> is what all depend on besides.</summary>
    public NameGraph(IReadOnlyList<FileDeclarations> files, ulong environment)
    {
        this.files = files;
        next = new int[files.Count][];
        order = new int[files.Count];
        seen = new int[files.Count];
        reach = new ulong[files.Count];
        var namespaces = new HashSet<ulong>();
        var global = new List<ulong>(Patterns.Select(Fingerprint.Of));
        for (var file = 0; file < files.Count; file++)
        {
            namespaces.UnionWith(files[file].Namespaces);
            global.AddRange(files[file].MentionedGlobally);
            environment = Fingerprint.Then(environment, files[file].GlobalUsings);
            foreach (var name in files[file].Declared)
            {
                declarations.Add((file, lastOf.TryGetValue(name, out var before) ? before : -1));
                lastOf[name] = declarations.Count - 1;
            }
        }
        everywhere = Fingerprint.Then(environment, unchecked(Sum(namespaces) + Sum(LeadsTo([.. global]).Select(Reach))));
    }

    /// <summary>Changes when what the declarations of <paramref name="file"/> say or mean may have changed.</summary>
    public ulong OfDeclarations(int file) => Fingerprint.Then(everywhere, Reach(file));

    /// <summary>Changes when what the text of <paramref name="file"/> means may have changed, its own bodies aside.</summary>
    public ulong OfText(int file) => Fingerprint.Then(everywhere, Sum(LeadsTo(files[file].MentionedAnywhere).Select(Reach)));

    private static ulong Sum(IEnumerable<ulong> hashes) => hashes.Aggregate(0UL, static (sum, hash) => unchecked(sum + Fingerprint.Mix(hash)));

    private int[] LeadsTo(ImmutableArray<ulong> names)
    {
        var found = new List<int>();
        searches++;
        foreach (var name in names)
        {
            if (!lastOf.TryGetValue(name, out var declaration)) continue;
            for (; declaration >= 0; declaration = declarations[declaration].Before)
            {
                var file = declarations[declaration].File;
                if (seen[file] == searches) continue;
                seen[file] = searches;
                found.Add(file);
            }
        }
        return [.. found];
    }

    /// <summary>The hash of a file's declarations and of all that they lead to. Files that lead to each other share it (Tarjan's components).</summary>
    private ulong Reach(int start)
    {
        if (reach[start] != 0) return reach[start];
        var visits = new Stack<Visit>();
        visits.Push(Open(start));
        while (visits.Count > 0)
        {
            var visit = visits.Peek();
            if (visit.Position < next[visit.File].Length)
            {
                var to = next[visit.File][visit.Position++];
                if (reach[to] != 0) continue;
                if (order[to] == 0) visits.Push(Open(to));
                else visit.Lowest = Math.Min(visit.Lowest, order[to]);
                continue;
            }
            visits.Pop();
            if (visits.Count > 0) visits.Peek().Lowest = Math.Min(visits.Peek().Lowest, visit.Lowest);
            if (visit.Lowest == order[visit.File]) Close(visit.File);
        }
        return reach[start];
    }

    private Visit Open(int file)
    {
        next[file] = LeadsTo(files[file].Mentioned);
        order[file] = ++opened;
        open.Push(file);
        return new Visit(file) { Lowest = opened };
    }

    private void Close(int first)
    {
        var together = new List<int>();
        do together.Add(open.Pop());
        while (together[together.Count - 1] != first);

        // Those that are not closed yet are of this component itself.
        var hash = Sum(together.Select(file => files[file].Hash).Concat(together.SelectMany(file => next[file]).Select(to => reach[to]).Where(known => known != 0)));
        foreach (var file in together) reach[file] = hash == 0 ? 1 : hash;
    }

    private sealed class Visit(int file)
    {
        public int File { get; } = file;

        public int Position { get; set; }

        public int Lowest { get; set; }
    }
}
