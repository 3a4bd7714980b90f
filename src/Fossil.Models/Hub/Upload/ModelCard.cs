using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Fossil.Models.Hub;

/// <summary>A repository's README.md: what the hub reads of it (YAML between two lines of dashes), and the text. Fields that are not set here stay as they are written.</summary>
internal sealed partial class ModelCard
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "README.md";

    private const string Fence = "---";

    private readonly List<(string? Name, string Text)> fields;

    private ModelCard(List<(string?, string)> fields, string body) => (this.fields, Body) = (fields, body);

    /// <summary>The text behind the fields.</summary>
    public string Body { get; set; }

    /// <summary>Reads a card; one without fields where there are none.</summary>
    public static ModelCard Parse(string text)
    {
        var match = FrontMatter().Match(text);
        if (!match.Success) return new ModelCard([], text);
        var fields = new List<(string? Name, string Text)>();
        foreach (var line in match.Groups["fields"].Value.ReplaceLineEndings("\n").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (FieldStart().Match(line) is { Success: true } start) fields.Add((start.Groups["name"].Value, line));
            else if (fields.Count > 0) fields[^1] = (fields[^1].Name, $"{fields[^1].Text}\n{line}");
            else fields.Add((null, line));
        }

        return new ModelCard(fields, text[match.Length..].TrimStart('\r', '\n'));
    }

    /// <summary>Whether there is a field.</summary>
    public bool Has(string name) => fields.Exists(field => field.Name == name);

    /// <summary>Sets a field.</summary>
    public void Set(string name, string value) => Put(name, $"{name}: {Scalar(value)}");

    /// <summary>Adds values to a list; those that it has stay.</summary>
    public void AddTo(string name, IEnumerable<string> values)
    {
        var all = ListOf(name).Concat(values).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToArray();
        if (all.Length > 0) Put(name, string.Join('\n', all.Select(value => "- " + Scalar(value)).Prepend(name + ":")));
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Fence}\n{string.Concat(fields.Select(field => field.Text + "\n"))}{Fence}\n\n{Body.TrimEnd()}\n";

    private void Put(string name, string text)
    {
        var i = fields.FindIndex(field => field.Name == name);
        if (i >= 0) fields[i] = (name, text);
        else fields.Add((name, text));
    }

    private IEnumerable<string> ListOf(string name)
    {
        if (fields.Find(field => field.Name == name).Text is not { } text) return [];
        var value = text[(name.Length + 1)..].Trim();
        IEnumerable<string> items = value.StartsWith('[') ? value.Trim('[', ']').Split(',') : value.StartsWith('-') ? value.Split('\n').Select(line => line.Trim().TrimStart('-')) : [value];
        return items.Select(item => item.Trim().Trim('"', '\'')).Where(item => item.Length > 0);
    }

    private static string Scalar(string value) => PlainScalar().IsMatch(value) && !YamlWord().IsMatch(value) ? value : JsonValue.Create(value).ToJsonString();

    [GeneratedRegex(@"\A---[ \t]*\r?\n(?<fields>.*?)^---[ \t]*(\r?\n|\z)", RegexOptions.Singleline | RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex FrontMatter();

    [GeneratedRegex(@"\A(?<name>[A-Za-z_][\w-]*):", RegexOptions.CultureInvariant)]
    private static partial Regex FieldStart();

    [GeneratedRegex(@"\A[A-Za-z_/.][\w/.+-]*(:[\w/.+-]+)*\z", RegexOptions.CultureInvariant | RegexOptions.ECMAScript)]
    private static partial Regex PlainScalar();

    [GeneratedRegex(@"\A(?:true|false|null|yes|no|on|off|y|n)\z", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex YamlWord();
}
