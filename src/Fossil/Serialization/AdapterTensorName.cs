using System.Text.RegularExpressions;
using Fossil.Adapters;
using Fossil.Targets;

namespace Fossil.Serialization;

/// <summary>What a tensor of an adapter file is.</summary>
public enum AdapterTensorKind
{
    /// <summary>A parameter of the adapter: <see cref="AdapterTensorName.Name"/> is what follows the module's path, e.g. <c>miss_block</c> or <c>lora_A.weight</c>.</summary>
    Adapter,

    /// <summary>The bias of an adapted module (PEFT: <c>bias="all"</c> or <c>"…_only"</c>).</summary>
    AdaptedBias,

    /// <summary>A parameter of the base model that is saved whole: of a module in <c>modules_to_save</c>, or with <c>bias="all"</c> the bias of a module that is not adapted.</summary>
    Base,

    /// <summary>The weight of an adapted embedding or output layer, as it was under the adapter (PEFT: <c>save_embedding_layers</c>).</summary>
    AdaptedWeight,

    /// <summary>A tensor that all layers of the adapter share, without a module: <see cref="AdapterTensorName.Name"/> is all of its name.</summary>
    Shared,
}

/// <summary>
/// The name of a tensor in <c>adapter_model.safetensors</c>, and how PEFT writes it: <c>base_model.model.</c>, the module's path,
/// and what it is (<c>utils/save_and_load.py</c>: <c>get_peft_model_state_dict</c>).
/// </summary>
/// <param name="Kind">What it is.</param>
/// <param name="Module">The path of the module that it belongs to, e.g. <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="Name">What follows the module's path: <c>miss_block</c>, <c>lora_A.weight</c>, <c>bias</c>, <c>weight</c>.</param>
public readonly record struct AdapterTensorName(AdapterTensorKind Kind, string Module, string Name)
{
    private const string SharedPrefix = "base_model.";
    private const string Prefix = SharedPrefix + "model.";
    private const string BaseLayer = "base_layer";

    // What ends a key, and what it is called today. A module of the model may well be called like a part of it.
    private static readonly (string Ending, string Name)[] Endings =
    [
        .. from method in AdapterMethods.All
           from parameter in method.ParameterNames
           from suffix in (string?[])[parameter.FileSuffix, parameter.EarlierFileSuffix]
           where suffix is not null
           select ("." + suffix, parameter.FileSuffix),
    ];

    private static readonly string[] SharedKeys = [.. AdapterMethods.All.SelectMany(method => method.SharedNames).Select(name => SharedPrefix + name)];

    private static readonly Dictionary<string, string> FileSuffixes = AdapterMethods.All.SelectMany(method => method.ParameterNames).DistinctBy(name => name.Kind).ToDictionary(name => name.Kind, name => name.FileSuffix, StringComparer.Ordinal);

    // As the state of a whole PeftModel has them: lora_A.default.weight.
    private static readonly Regex WithAdapterName = new($@"\.(?<kind>{string.Join('|', FileSuffixes.Keys.Select(Regex.Escape))})\.[^.]+(\.weight)?\z", RegexOptions.CultureInvariant);

    /// <summary>The path and name of the parameter as the model has it, where <see cref="Kind"/> is not <see cref="AdapterTensorKind.Adapter"/>.</summary>
    public string ParameterPath => NamedModule.Join(Module, Name);

    /// <summary>The key in the file.</summary>
    public string ToKey() => Kind switch
    {
        AdapterTensorKind.AdaptedBias or AdapterTensorKind.AdaptedWeight => $"{Prefix}{Module}.{BaseLayer}.{Name}",
        AdapterTensorKind.Shared => SharedPrefix + Name,
        _ => Prefix + ParameterPath,
    };

    /// <summary>Takes a key of a file apart. The names of a method's earlier files become those of today.</summary>
    public static AdapterTensorName Parse(string key)
    {
        if (SharedKeys.Contains(key)) return new AdapterTensorName(AdapterTensorKind.Shared, string.Empty, key[SharedPrefix.Length..]);
        var path = key.StartsWith(Prefix, StringComparison.Ordinal) ? key[Prefix.Length..] : key;
        if (Array.Find(Endings, entry => path.EndsWith(entry.Ending, StringComparison.Ordinal)) is { Ending: { } ending, Name: var adapters })
            return new AdapterTensorName(AdapterTensorKind.Adapter, path[..^ending.Length], adapters);

        if (Adapted("bias", AdapterTensorKind.AdaptedBias) is { } bias) return bias;
        if (Adapted("weight", AdapterTensorKind.AdaptedWeight) is { } weight) return weight;

        var (module, last) = NamedModule.Split(path);
        return new AdapterTensorName(AdapterTensorKind.Base, module, last);

        AdapterTensorName? Adapted(string name, AdapterTensorKind kind) =>
            path.EndsWith($".{BaseLayer}.{name}", StringComparison.Ordinal) ? new AdapterTensorName(kind, path[..^(BaseLayer.Length + name.Length + 2)], name) : null;
    }

    /// <summary>What a key may mean, likeliest first: as it stands, without what wrappers of the model added to it, and without the adapter's name.</summary>
    internal static IEnumerable<AdapterTensorName> Meanings(string key) =>
        from candidate in WrapperNames.Candidates(key)
        from text in (string[])[candidate, WithAdapterName.Replace(candidate, match => "." + FileSuffixes[match.Groups["kind"].Value])]
        select Parse(text);

    /// <inheritdoc/>
    public override string ToString() => ToKey();
}
