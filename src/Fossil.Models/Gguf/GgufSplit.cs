using System.Globalization;
using System.Text.RegularExpressions;

namespace Fossil.Models.Gguf;

/// <summary>
/// Models in several files, as llama.cpp's gguf-split writes them: <c>NAME-00001-of-00003.gguf</c> and so on. The metadata are in the first;
/// each part says which it is and of how many.
/// </summary>
internal static partial class GgufSplit
{
    /// <summary>What the keys of a part begin with, which a file in one piece must not have.</summary>
    public const string Prefix = "split.";

    private const string Number = Prefix + "no", Count = Prefix + "count", TensorCount = Prefix + "tensors.count";

    /// <summary>The names of all parts of the model that a file's name belongs to; only that name where it is not one of several.</summary>
    public static IReadOnlyList<string> PartNames(string fileName)
    {
        var match = PartName().Match(fileName);
        if (!match.Success || !int.TryParse(match.Groups["count"].Value, CultureInfo.InvariantCulture, out var count) || count < 1) return [fileName];
        return [.. Enumerable.Range(1, count).Select(number => string.Create(CultureInfo.InvariantCulture, $"{match.Groups["name"].Value}-{number:D5}-of-{count:D5}.gguf"))];
    }

    /// <summary>Opens a file, and where it is a part the others too.</summary>
    /// <param name="path">The file, or any of the parts.</param>
    /// <returns>The parts in their order.</returns>
    /// <exception cref="GgufException">A file is malformed, or a part is missing or of another model.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static IReadOnlyList<GgufPart> Open(string path)
    {
        var parts = new List<GgufPart>();
        try
        {
            var named = GgufPart.Open(path);
            parts.Add(named);
            var count = named.Metadata.FindCount(Count) ?? 1;
            if (count <= 1) return parts;
            var number = named.Metadata.FindCount(Number) ?? 0;
            foreach (var other in PathsOf(named, number, count)) parts.Add(other == named.Path ? named : OpenOther(other, path));
            parts.RemoveAt(0);
            Check(parts, count);
            return parts;
        }
        catch
        {
            foreach (var part in parts) part.Dispose();
            throw;
        }
    }

    private static IReadOnlyList<string> PathsOf(GgufPart named, int number, int count)
    {
        var folder = Path.GetDirectoryName(named.Path) ?? string.Empty;
        var names = PartNames(Path.GetFileName(named.Path));
        if (names.Count != count || number >= count || names[number] != Path.GetFileName(named.Path))
        {
            throw new GgufException(GgufError.MixedParts, named.Path, $"the file is part {number + 1} of {count} of a model, which its name does not say. Give the parts their names back, …-{number + 1:D5}-of-{count:D5}.gguf for this one, so that the others are found.");
        }

        var missing = names.Where(name => !File.Exists(Path.Combine(folder, name))).ToArray();
        if (missing.Length > 0) throw new GgufException(GgufError.MissingPart, named.Path, $"the model is in {count} files, of which {(missing.Length == 1 ? "one is" : $"{missing.Length} are")} not there: {string.Join(", ", missing.Take(10))}{(missing.Length > 10 ? ", …" : string.Empty)}. Put all parts into one folder.");
        return [.. names.Select((name, index) => index == number ? named.Path : Path.Combine(folder, name))];
    }

    private static GgufPart OpenOther(string path, string named)
    {
        try
        {
            return GgufPart.Open(path);
        }
        catch (FileNotFoundException exception)
        {
            throw new GgufException(GgufError.MissingPart, named, $"a part of the model is not there any more: {Path.GetFileName(path)}.", exception);
        }
    }

    private static void Check(List<GgufPart> parts, int count)
    {
        var owners = new Dictionary<string, GgufPart>(StringComparer.Ordinal);
        for (var number = 0; number < parts.Count; number++)
        {
            var part = parts[number];
            var (saidNumber, saidCount) = (part.Metadata.FindCount(Number), part.Metadata.FindCount(Count));
            if (saidNumber != number || saidCount != count) throw Mixed(part, $"it says that it is part {saidNumber + 1} of {saidCount?.ToString(CultureInfo.InvariantCulture) ?? "1"}, and its name that it is part {number + 1} of {count}");
            if (part.Metadata.FindCount(TensorCount) is { } total && total != parts.Sum(other => (long)other.Tensors.Count)) throw Mixed(part, $"the parts hold {parts.Sum(other => (long)other.Tensors.Count)} tensors, and it says {total}");
            foreach (var tensor in part.Tensors)
            {
                if (!owners.TryAdd(tensor.Name, part)) throw Mixed(part, $"it holds '{tensor.Name}', as {Path.GetFileName(owners[tensor.Name].Path)} does");
            }

            // Later parts have no metadata of the model; where they do, they are of the same one.
            foreach (var (key, value) in part.Metadata)
            {
                if (key is "general.architecture" or "general.name" && parts[0].Metadata.TryGetValue(key, out var first) && !Equals(first.Value, value.Value)) throw Mixed(part, $"its {key} is {value}, that of the first part {first}");
            }
        }
    }

    private static GgufException Mixed(GgufPart part, string difference) =>
        new(GgufError.MixedParts, part.Path, $"the parts are not of one model: {difference}. Fetch all of them again.");

    [GeneratedRegex(@"^(?<name>.+)-(?<number>\d{5})-of-(?<count>\d{5})\.gguf$", RegexOptions.CultureInvariant)]
    private static partial Regex PartName();
}
