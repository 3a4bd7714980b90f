using System.Text;
using System.Text.Json.Nodes;
using Fossil.Adapters;
using Fossil.Methods;
using Fossil.Serialization;
using Fossil.Targets;

namespace Fossil;

/// <summary>
/// What all methods' configurations have in common (PEFT: <c>PeftConfig</c>). Read and written as PEFT's <c>adapter_config.json</c>;
/// fields that this library does not know survive reading and writing, in their place.
/// </summary>
public abstract record AdapterConfig
{
    /// <summary>The name of the file in an adapter's folder.</summary>
    public const string FileName = "adapter_config.json";

    /// <summary>The version of PEFT whose files these are.</summary>
    internal const string PeftVersion = "0.21.2";

    private static readonly string[] TaskTypes = ["SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"];

    private readonly JsonObject? source;

    private protected AdapterConfig()
    {
    }

    private protected AdapterConfig(AdapterConfigReader reader)
    {
        TargetModules = reader.Modules("target_modules");
        ExcludeModules = reader.Modules("exclude_modules");
        ModulesToSave = reader.Strings("modules_to_save", allowOne: false);
        LayersToTransform = reader.Integers("layers_to_transform");
        LayersPattern = reader.Strings("layers_pattern", allowOne: true);
        Bias = reader.Choice("bias", AdapterBias.None, ("none", AdapterBias.None), ("all", AdapterBias.All), (AdapterOnlyBias, AdapterBias.AdapterOnly));
        TaskType = reader.Text("task_type");
        BaseModelNameOrPath = reader.Text("base_model_name_or_path");
        Revision = reader.Text("revision");
        InferenceMode = reader.Boolean("inference_mode", false);
        Path = reader.Path;
        source = reader.Source;
        reader.RefuseUnsupported(UnsupportedFields);
    }

    /// <summary>PEFT's name of the method (<c>peft_type</c>).</summary>
    public abstract string PeftType { get; }

    /// <summary>The modules to adapt (<c>target_modules</c>); where null, all that the model's attributes name.</summary>
    public ModuleSelector? TargetModules { get; init; }

    /// <summary>Modules not to adapt although <see cref="TargetModules"/> names them (<c>exclude_modules</c>).</summary>
    public ModuleSelector? ExcludeModules { get; init; }

    /// <summary>Modules that are trained and saved whole beside the adapter (<c>modules_to_save</c>).</summary>
    public IReadOnlyList<string>? ModulesToSave { get; init; }

    /// <summary>The indices of the layers to adapt; all where null or empty (<c>layers_to_transform</c>). Needs <see cref="TargetModules"/> to be a list.</summary>
    public IReadOnlyList<int>? LayersToTransform { get; init; }

    /// <summary>The name of the list that <see cref="LayersToTransform"/> counts in; any where null (<c>layers_pattern</c>).</summary>
    public IReadOnlyList<string>? LayersPattern { get; init; }

    /// <summary>Which bias vectors are trained (<c>bias</c>).</summary>
    public AdapterBias Bias { get; init; }

    /// <summary>What the model is for, e.g. <c>CAUSAL_LM</c> (<c>task_type</c>); recorded only.</summary>
    public string? TaskType { get; init; }

    /// <summary>The base model (<c>base_model_name_or_path</c>); recorded only.</summary>
    public string? BaseModelNameOrPath { get; init; }

    /// <summary>The base model's revision (<c>revision</c>); recorded only.</summary>
    public string? Revision { get; init; }

    /// <summary>Whether the adapter is for use and not for training (<c>inference_mode</c>). PEFT sets it in every saved file.</summary>
    public bool InferenceMode { get; init; }

    /// <summary>The file it was read from, for messages; null where it was not read.</summary>
    internal string? Path { get; init; }

    /// <summary>What would have been written when <see cref="source"/> was read: a field of it is rewritten only where its value is another now.</summary>
    private Dictionary<string, JsonNode?>? AsRead { get; init; }

    /// <summary>Whether modules that share the embedding's weight are trained as one (<c>ensure_weight_tying</c>).</summary>
    internal virtual bool TiesWeights => false;

    /// <summary>PEFT's word for <see cref="AdapterBias.AdapterOnly"/> in this method.</summary>
    private protected abstract string AdapterOnlyBias { get; }

    /// <summary>Fields of PEFT for features that are not here, with the value that switches them off.</summary>
    private protected virtual IReadOnlyDictionary<string, JsonNode?> UnsupportedFields { get; } = new Dictionary<string, JsonNode?>();

    /// <summary>The fields of this class that the method does not have in PEFT, which are neither set nor written.</summary>
    private protected virtual IReadOnlyList<string> AbsentFields => [];

    /// <summary>Reads a configuration.</summary>
    /// <param name="path">An <c>adapter_config.json</c>, or the folder that holds one.</param>
    /// <exception cref="ConfigurationException">A field has a value that cannot be used; it says which, and what to do.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static AdapterConfig Load(string path)
    {
        if (Directory.Exists(path)) return AtomicFolder.Read(path, pathOf => Load(pathOf(FileName)));
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
        if (stream.Length > AdapterConfigReader.MaxBytes)
        {
            throw new ConfigurationException(string.Empty, path, $"the file has {stream.Length} bytes, more than the {AdapterConfigReader.MaxBytes} that any adapter configuration needs. Is this an {FileName}?");
        }

        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return Parse(bytes, path);
    }

    /// <summary>Reads a configuration from JSON.</summary>
    /// <exception cref="ConfigurationException">A field has a value that cannot be used; it says which, and what to do.</exception>
    public static AdapterConfig Parse(string json) => Parse(Encoding.UTF8.GetBytes(json), null);

    /// <inheritdoc cref="Parse(string)"/>
    internal static AdapterConfig Parse(ReadOnlySpan<byte> json, string? path)
    {
        var reader = new AdapterConfigReader(json, path);
        var config = AdapterMethods.ReadConfig(reader);
        config.Validate();
        return config with { AsRead = config.Fields() };
    }

    /// <summary>Writes the configuration atomically, as <c>adapter_config.json</c>.</summary>
    /// <param name="path">A file, or an existing folder.</param>
    /// <exception cref="ConfigurationException">A value cannot be used.</exception>
    /// <exception cref="AtomicWriteException">The file could not be written; what was there before still is.</exception>
    public void Save(string path)
    {
        var file = Directory.Exists(path) ? System.IO.Path.Combine(path, FileName) : path;
        var json = ToJson();
        AtomicFile.Write(file, stream => stream.Write(Encoding.UTF8.GetBytes(json)));
    }

    /// <summary>The text of <c>adapter_config.json</c>: as it was read where it was, with PEFT's fields in alphabetical order where not.</summary>
    /// <exception cref="ConfigurationException">A value cannot be used.</exception>
    public string ToJson()
    {
        Validate();
        return ToJsonObject().ToJsonString(AdapterConfigReader.WriteOptions);
    }

    /// <summary>Checks every value, and those that exclude each other.</summary>
    /// <exception cref="ConfigurationException">A value cannot be used; it says which, and what to do.</exception>
    public virtual void Validate()
    {
        if (!Enum.IsDefined(Bias)) throw Invalid("bias", $"{Bias} is not one of {string.Join(", ", Enum.GetNames<AdapterBias>())}.");
        if (TaskType is not null && !TaskTypes.Contains(TaskType)) throw Invalid("task_type", $"'{TaskType}' is not one of PEFT's task types: {string.Join(", ", TaskTypes)}. Use one of them, or none.");
        CheckAbsent();
        CheckSelector("target_modules", TargetModules);
        CheckSelector("exclude_modules", ExcludeModules);
        if (ExcludeModules is { IsAllLinear: true }) throw Invalid("exclude_modules", "'all-linear' can be chosen, not excluded. Give a list or a regular expression.");
        CheckNames("modules_to_save", ModulesToSave);
        CheckNames("layers_pattern", LayersPattern);
        foreach (var pattern in ModulesToSave ?? []) PythonRegex.Check("modules_to_save", Path, pattern);
        foreach (var pattern in LayersPattern ?? []) PythonRegex.Check("layers_pattern", Path, pattern);
        foreach (var layer in LayersToTransform ?? [])
        {
            if (layer < 0) throw Invalid("layers_to_transform", $"{layer} is no index of a layer. Count from 0.");
        }

        if (TargetModules?.Pattern is not { } expression) return;
        if (LayersToTransform is not null) throw Invalid("layers_to_transform", $"it goes with a list of target_modules, not with the expression '{expression}'. Put the layers into the expression.");
        if (LayersPattern is not null) throw Invalid("layers_pattern", $"it goes with a list of target_modules, not with the expression '{expression}'. Put the layers into the expression.");
    }

    /// <summary>Puts the fields in, under PEFT's names; a derived class adds its own.</summary>
    private protected virtual void WriteFields(IDictionary<string, JsonNode?> fields) => WriteCommonFields(fields);

    private void WriteCommonFields(IDictionary<string, JsonNode?> fields)
    {
        fields["peft_type"] = PeftType;
        fields["target_modules"] = AdapterConfigReader.ToNode(TargetModules);
        fields["exclude_modules"] = AdapterConfigReader.ToNode(ExcludeModules);
        fields["modules_to_save"] = AdapterConfigReader.ToNode(ModulesToSave);
        fields["layers_to_transform"] = LayersToTransform is null ? null : new JsonArray([.. LayersToTransform.Select(layer => (JsonNode)layer)]);
        fields["layers_pattern"] = LayersPattern is [var only] ? only : AdapterConfigReader.ToNode(LayersPattern);
        fields["bias"] = Bias switch { AdapterBias.All => "all", AdapterBias.AdapterOnly => AdapterOnlyBias, _ => "none" };
        fields["task_type"] = TaskType;
        fields["base_model_name_or_path"] = BaseModelNameOrPath;
        fields["revision"] = Revision;
        fields["inference_mode"] = InferenceMode;
    }

    /// <summary>The configuration, in which earlier versions wrote the names of compilers' fields, with the names as they are written in the source.</summary>
    internal virtual AdapterConfig WithWrittenNames() => this with
    {
        TargetModules = MemberNames.Written(TargetModules),
        ExcludeModules = MemberNames.Written(ExcludeModules),
        ModulesToSave = MemberNames.Written(ModulesToSave),
        LayersPattern = MemberNames.Written(LayersPattern),
    };

    /// <summary>An error in a field of this configuration.</summary>
    private protected ConfigurationException Invalid(string field, string message) => new(field, Path, message);

    /// <summary>Checks a setting by what its method declares of it.</summary>
    private protected void Check<T>(Setting<T> setting, T value, Enum? variant = null)
        where T : struct
    {
        if (setting.ProblemOf(value, variant) is { } problem) throw Invalid(setting.Field, problem);
    }

    /// <summary>Checks the values that a setting has for modules of some names.</summary>
    private protected void CheckPatterns<T>(string field, Setting<T> setting, IReadOnlyDictionary<string, T> patterns)
        where T : struct
    {
        foreach (var (pattern, value) in patterns)
        {
            PythonRegex.Check(field, Path, pattern);
            if (setting.ProblemOf(value) is { } problem) throw Invalid(field, $"for '{pattern}': {problem}");
        }
    }

    private Dictionary<string, JsonNode?> Fields()
    {
        var fields = new Dictionary<string, JsonNode?>(StringComparer.Ordinal);
        WriteFields(fields);
        foreach (var field in AbsentFields) fields.Remove(field);
        return fields;
    }

    private void CheckAbsent()
    {
        // A method's own fields may have values that no file can hold: they are checked after these.
        var fields = new Dictionary<string, JsonNode?>(StringComparer.Ordinal);
        WriteCommonFields(fields);
        foreach (var field in AbsentFields)
        {
            if (fields[field] is { } value && !JsonNode.DeepEquals(value, "none")) throw Invalid(field, $"it is {value.ToJsonString()}, but {PeftType} has no such field in PEFT, so an adapter's file could not say it. Leave it unset.");
        }
    }

    private JsonObject ToJsonObject()
    {
        var fields = Fields();
        var json = new JsonObject();
        if (source is null || AsRead is null)
        {
            fields["auto_mapping"] = null;
            fields["peft_version"] = PeftVersion;
            foreach (var (name, off) in UnsupportedFields) fields[name] = off?.DeepClone();
            foreach (var name in fields.Keys.Order(StringComparer.Ordinal)) json[name] = fields[name];
            return json;
        }

        foreach (var (name, value) in source)
        {
            // peft_type alone is written as it is now: files of a method's earlier name get its present one.
            var known = fields.Remove(name, out var now);
            var changed = known && (name == "peft_type" || !JsonNode.DeepEquals(now, AsRead[name]));
            json[name] = changed ? now : value?.DeepClone();
        }

        // An older file lacks fields of later versions; they are added where they now say something.
        foreach (var (name, now) in fields)
        {
            if (!JsonNode.DeepEquals(now, AsRead[name])) json[name] = now;
        }

        return json;
    }

    private void CheckSelector(string field, ModuleSelector? selector)
    {
        if (selector is null) return;
        if (selector.Pattern is { } pattern && !selector.IsAllLinear) PythonRegex.Check(field, Path, pattern);
        CheckNames(field, selector.Names);
    }

    private void CheckNames(string field, IReadOnlyList<string>? names)
    {
        foreach (var name in names ?? [])
        {
            if (string.IsNullOrWhiteSpace(name)) throw Invalid(field, "an empty name matches no module. Remove it.");
        }
    }
}
