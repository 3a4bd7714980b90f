namespace Fossil.CodeModel.Declarations;

/// <summary>
/// The hash of each node of a graph and of all that it leads to, found when it is asked for. Nodes that lead to each other share it (Tarjan's components).
/// </summary>
internal sealed class NodeSearch(int nodes, Func<int, ulong> hashOf, Func<int, int[]> leadsTo)
{
    private readonly int[][] next = new int[nodes][];
    private readonly int[] order = new int[nodes];
    private readonly ulong[] reach = new ulong[nodes];
    private readonly Stack<int> open = new();
    private int opened;

    /// <summary>Forgets the hash of a node; false where it is not known.</summary>
    public bool Forget(int node)
    {
        if (reach[node] == 0) return false;
        (reach[node], order[node]) = (0, 0);
        return true;
    }

    /// <summary>The hash of <paramref name="start"/> and of all that it leads to.</summary>
    public ulong Reach(int start)
    {
        if (reach[start] != 0) return reach[start];
        var visits = new Stack<Visit>();
        visits.Push(Open(start));
        while (visits.Count > 0)
        {
            var visit = visits.Peek();
            if (visit.Position < next[visit.Node].Length)
            {
                var to = next[visit.Node][visit.Position++];
                if (reach[to] != 0) continue;
                if (order[to] == 0) visits.Push(Open(to));
                else visit.Lowest = Math.Min(visit.Lowest, order[to]);
                continue;
            }
            visits.Pop();
            if (visits.Count > 0) visits.Peek().Lowest = Math.Min(visits.Peek().Lowest, visit.Lowest);
            if (visit.Lowest == order[visit.Node]) Close(visit.Node);
        }
        return reach[start];
    }

    private Visit Open(int node)
    {
        next[node] = leadsTo(node);
        order[node] = ++opened;
        open.Push(node);
        return new Visit(node) { Lowest = opened };
    }

    private void Close(int first)
    {
        var together = new List<int>();
        do together.Add(open.Pop());
        while (together[together.Count - 1] != first);

        // Those that are not closed yet are of this component itself.
        var hash = Fingerprint.Sum(together.Select(hashOf).Concat(together.SelectMany(node => next[node]).Select(to => reach[to]).Where(known => known != 0)));
        foreach (var node in together) reach[node] = hash == 0 ? 1 : hash;
    }

    private sealed class Visit(int node)
    {
        public int Node { get; } = node;

        public int Position { get; set; }

        public int Lowest { get; set; }
    }
}
