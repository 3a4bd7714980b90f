namespace Fossil.Training;

/// <summary>What a reader of data files found in their rows, before examples were cut, packed or left out.</summary>
public sealed class DataCounts
{
    private readonly Dictionary<string, long> files = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, long> forms = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, long> roles = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, long> ignored = new(StringComparer.Ordinal);
    private readonly List<int> lengths = [];
    private bool isSorted;

    internal DataCounts()
    {
    }

    /// <summary>The files, in the order in which they were read, each with the number of its rows.</summary>
    public IReadOnlyDictionary<string, long> Files => files;

    /// <summary>The forms of the rows, by the fields that tell them (such as <c>prompt, completion</c>), each with the number of its rows.</summary>
    public IReadOnlyDictionary<string, long> Forms => forms;

    /// <summary>The roles of conversations, each with the number of its messages.</summary>
    public IReadOnlyDictionary<string, long> Roles => roles;

    /// <summary>Fields of which nothing is learned or given to the model, each with the number of its rows.</summary>
    public IReadOnlyDictionary<string, long> IgnoredFields => ignored;

    /// <summary>Tokens of the shortest, the median and the longest example, uncut; zeros where there is none.</summary>
    public (int Shortest, int Median, int Longest) Tokens
    {
        get
        {
            if (lengths.Count == 0) return default;
            if (!isSorted) lengths.Sort();
            isSorted = true;
            return (lengths[0], lengths[(lengths.Count - 1) / 2], lengths[^1]);
        }
    }

    /// <summary>Counts a row of a file.</summary>
    internal void AddRow(string file, string form)
    {
        Count(files, file);
        Count(forms, form);
    }

    /// <summary>Counts a message.</summary>
    internal void AddRole(string role) => Count(roles, role);

    /// <summary>Counts a field that is left out of a row.</summary>
    internal void AddIgnored(string field) => Count(ignored, field);

    /// <summary>Counts the tokens of an example.</summary>
    internal void AddExample(int tokens)
    {
        lengths.Add(tokens);
        isSorted = false;
    }

    private static void Count(IDictionary<string, long> counts, string name) => counts[name] = (counts.TryGetValue(name, out var count) ? count : 0) + 1;
}
