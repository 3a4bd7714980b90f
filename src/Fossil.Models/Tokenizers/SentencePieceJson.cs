using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fossil.Models.Tokenizers;

/// <summary>
/// SentencePiece in the forms that <c>tokenizer.json</c> gives it: the normalizers Prepend and Replace, or the pre-tokenizer Metaspace, and a decoder of
/// Replace, ByteFallback, Fuse and Strip.
/// </summary>
internal static class SentencePieceJson
{
    private const string Space = "▁";

    /// <summary>Reads the rules; null where the tokenizer is byte-level.</summary>
    /// <exception cref="TokenizerException">It is of a third kind.</exception>
    public static SentencePieceRules? Read(JsonElement root, JsonElement model, string path)
    {
        // Gemma's cuts at spaces, of which its normalizer leaves none.
        var preTokenizer = root.Optional("pre_tokenizer");
        if (preTokenizer is { } split && ReplacesSpaces(root, path) && IsSplitAtSpaces(split, path)) preTokenizer = null;
        var isMetaspace = preTokenizer?.Text("type", path) == "Metaspace";
        var byteFallback = model.Flag("byte_fallback", path);
        if (preTokenizer is not null && !isMetaspace)
        {
            return byteFallback ? throw new TokenizerException(path, $"the pre-tokenizer '{preTokenizer.Value.Text("type", path)}' is not supported with byte_fallback, only Metaspace or none.") : null;
        }

        var rules = new SentencePieceRules { Prefix = SpacePrefix.Never, ByteFallback = byteFallback, FuseUnknown = model.Flag("fuse_unk", path), StripsLeadingSpace = false };
        var replacesSpaces = false;
        foreach (var step in Steps(root.Optional("normalizer"), "normalizers", path)) (rules, replacesSpaces) = ReadNormalizer(step, rules, replacesSpaces, path);
        if (isMetaspace) rules = ReadMetaspace(preTokenizer!.Value, rules, path);
        else if (!replacesSpaces) throw new TokenizerException(path, "there is no pre-tokenizer and no normalizer that replaces spaces, so this is neither a byte-level tokenizer nor SentencePiece's.");
        return ReadDecoder(root, rules, path);
    }

    /// <summary>The normalizer and the decoder of rules that come from another file.</summary>
    public static (JsonObject? Normalizer, JsonNode? PreTokenizer, JsonObject Decoder) Write(SentencePieceRules rules)
    {
        JsonObject Replace(string from, string to) => new() { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = from }, ["content"] = to };
        List<JsonNode> steps = [Replace(Space, " ")];
        if (rules.ByteFallback) steps.Add(new JsonObject { ["type"] = "ByteFallback" });
        steps.Add(new JsonObject { ["type"] = "Fuse" });
        if (rules.StripsLeadingSpace) steps.Add(new JsonObject { ["type"] = "Strip", ["content"] = " ", ["start"] = 1, ["stop"] = 0 });
        var decoder = new JsonObject { ["type"] = "Sequence", ["decoders"] = new JsonArray([.. steps]) };
        if (rules.Prefix == SpacePrefix.Forced)
        {
            return (new JsonObject { ["type"] = "Sequence", ["normalizers"] = new JsonArray(new JsonObject { ["type"] = "Prepend", ["prepend"] = Space }, Replace(" ", Space)) }, null, decoder);
        }

        var scheme = rules.Prefix switch { SpacePrefix.First => "first", SpacePrefix.Always => "always", _ => "never" };
        return (null, new JsonObject { ["type"] = "Metaspace", ["replacement"] = Space, ["prepend_scheme"] = scheme, ["split"] = rules.SplitsWords }, decoder);
    }

    private static (SentencePieceRules Rules, bool ReplacesSpaces) ReadNormalizer(JsonElement step, SentencePieceRules rules, bool replacesSpaces, string path)
    {
        switch (step.Text("type", path))
        {
            case "Prepend" when step.Text("prepend", path) == Space && !replacesSpaces:
                return (rules with { Prefix = SpacePrefix.Forced }, false);
            case "Replace" when IsReplace(step, " ", Space, path):
                return (rules, true);
            case var type:
                throw new TokenizerException(path, $"the normalizer '{type}' in this form is not supported by SentencePiece's vocabularies here, only Prepend of ▁ and after it Replace of the space by ▁.");
        }
    }

    private static SentencePieceRules ReadMetaspace(JsonElement metaspace, SentencePieceRules rules, string path)
    {
        if ((metaspace.Optional("replacement")?.AsText("replacement", path) ?? Space) != Space) throw new TokenizerException(path, "the pre-tokenizer Metaspace replaces spaces by another character than ▁, which is not supported.");
        // Older files have a flag instead of the scheme.
        var scheme = metaspace.Optional("prepend_scheme")?.AsText("prepend_scheme", path) ?? (metaspace.Flag("add_prefix_space", path, fallback: true) ? "always" : "never");
        var prefix = scheme switch
        {
            "always" => SpacePrefix.Always,
            "first" => SpacePrefix.First,
            "never" => SpacePrefix.Never,
            _ => throw new TokenizerException(path, $"the pre-tokenizer Metaspace has the prepend_scheme '{scheme}'; known are always, first and never."),
        };
        return rules with { Prefix = rules.Prefix == SpacePrefix.Forced ? SpacePrefix.Forced : prefix, SplitsWords = metaspace.Flag("split", path, fallback: true) };
    }

    private static SentencePieceRules ReadDecoder(JsonElement root, SentencePieceRules rules, string path)
    {
        var (replaces, fuses) = (false, false);
        foreach (var step in Steps(root.Optional("decoder") ?? throw new TokenizerException(path, "there is no decoder, which would say how ▁ becomes a space again."), "decoders", path))
        {
            switch (step.Text("type", path))
            {
                case "Replace" when IsReplace(step, Space, " ", path):
                    replaces = true;
                    break;
                case "ByteFallback" when rules.ByteFallback:
                    break;
                case "Fuse":
                    fuses = true;
                    break;
                case "Strip" when fuses && step.Text("content", path) == " " && step.Member("start", path).AsId("start", path) <= 1 && step.Member("stop", path).AsId("stop", path) == 0:
                    rules = rules with { StripsLeadingSpace = step.Member("start", path).AsId("start", path) == 1 };
                    break;
                case var type:
                    throw new TokenizerException(path, $"the decoder '{type}' in this form is not supported, only a Sequence of Replace (▁ by a space), ByteFallback, Fuse, and Strip of one space at the start.");
            }
        }

        return replaces ? rules : throw new TokenizerException(path, "the decoder does not replace ▁ by a space.");
    }

    private static bool ReplacesSpaces(JsonElement root, string path) => Steps(root.Optional("normalizer"), "normalizers", path).Any(step => step.Text("type", path) == "Replace" && IsReplace(step, " ", Space, path));

    private static bool IsSplitAtSpaces(JsonElement step, string path) => step.Text("type", path) == "Split" && step.Member("pattern", path).Optional("String")?.AsText("String", path) == " ";

    private static bool IsReplace(JsonElement step, string from, string to, string path) =>
        step.Member("pattern", path).Optional("String")?.AsText("String", path) == from && step.Text("content", path) == to;

    private static IEnumerable<JsonElement> Steps(JsonElement? step, string name, string path) =>
        step is not { } one ? [] : one.Text("type", path) == "Sequence" ? one.List(name, path).SelectMany(inner => Steps(inner, name, path)) : [one];
}
