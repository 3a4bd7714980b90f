using System.Text.Json.Nodes;
using Fossil.Methods.IA3;
using Fossil.Targets;

namespace Fossil;

/// <summary>The configuration of (IA)³ (arXiv 2205.05638; PEFT: <c>tuners/ia3/config.py</c>): a vector for each layer multiplies its output, or its input where it is feedforward.</summary>
public sealed record IA3Config : AdapterConfig
{
    internal const string PeftTypeName = "IA3";
    internal const string FeedforwardField = "feedforward_modules";

    private static readonly string[] Absent = ["bias", "layers_to_transform", "layers_pattern"];

    private static readonly Dictionary<string, JsonNode?> Unsupported = new(StringComparer.Ordinal) { ["fan_in_fan_out"] = false };

    /// <summary>A configuration with PEFT's defaults.</summary>
    public IA3Config()
    {
    }

    internal IA3Config(AdapterConfigReader reader)
        : base(reader)
    {
        FeedforwardModules = reader.Modules(FeedforwardField);
        InitIA3Weights = reader.Boolean(IA3Settings.InitIA3Weights);
    }

    /// <inheritdoc/>
    public override string PeftType => PeftTypeName;

    /// <summary>
    /// Which of the targets are feedforward layers, whose input is multiplied instead of the output (<c>feedforward_modules</c>): a list of endings of paths, with or without a dot before them, or a regular
    /// expression that matches the whole path. None are with <c>[]</c>; where null, those called <c>down_proj</c>, as PEFT has it for the decoders.
    /// </summary>
    public ModuleSelector? FeedforwardModules { get; init; }

    /// <summary>Whether the vectors start at one, so that the adapter changes nothing before training. False starts them at random, for tests (<c>init_ia3_weights</c>).</summary>
    public bool InitIA3Weights { get; init; } = IA3Settings.InitIA3Weights.Default;

    private protected override string AdapterOnlyBias => "ia3_only";

    private protected override IReadOnlyList<string> AbsentFields => Absent;

    private protected override IReadOnlyDictionary<string, JsonNode?> UnsupportedFields => Unsupported;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        if (FeedforwardModules is not { } feedforward) return;
        if (feedforward.Pattern is { } pattern) PythonRegex.Check(FeedforwardField, Path, pattern);
        else if (TargetModules is { Pattern: null } targets && feedforward.Names.Except(targets.Names, StringComparer.Ordinal).ToArray() is { Length: > 0 } others)
            throw Invalid(FeedforwardField, $"{string.Join(", ", others)} {(others.Length == 1 ? "is" : "are")} not among the target_modules {targets}, as PEFT wants it. Name the same, or give a regular expression.");
    }

    internal override AdapterConfig WithWrittenNames() => (IA3Config)base.WithWrittenNames() with { FeedforwardModules = MemberNames.Written(FeedforwardModules) };

    /// <summary>Whether the layer at a path is feedforward (PEFT: <c>IA3Model._check_target_module_feedforward</c>).</summary>
    internal bool IsFeedforward(string path) => FeedforwardModules switch
    {
        { Pattern: { } pattern } => PythonRegex.IsFullMatch(FeedforwardField, Path, pattern, path),
        { Names: var names } => names.Any(name => path.EndsWith(name, StringComparison.Ordinal)),
        null => false,
    };

    private protected override void WriteFields(IDictionary<string, JsonNode?> fields)
    {
        base.WriteFields(fields);
        fields[FeedforwardField] = AdapterConfigReader.ToNode(FeedforwardModules);
        fields[IA3Settings.InitIA3Weights.Field] = InitIA3Weights;
    }
}
