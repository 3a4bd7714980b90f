using System.Globalization;
using Fossil.Targets;

namespace Fossil;

/// <summary>
/// Which modules of a model a configuration means, exactly as PEFT decides it (<c>check_target_module_exists</c>,
/// <c>_maybe_include_all_linear_layers</c>, <c>get_pattern_key</c>, <c>_set_trainable</c>).
/// </summary>
public static class TargetSelector
{
    // From this many names on, PEFT shortens a list of targets to the suffixes that tell them from all other modules.
    private const int ShortenFrom = 20;

    /// <summary>The paths of the modules to adapt, in the order given.</summary>
    /// <exception cref="ConfigurationException">The configuration chooses no module; the message says why.</exception>
    public static IReadOnlyList<string> Select(AdapterConfig config, IReadOnlyCollection<SelectableModule> modules)
    {
        config = Resolve(config, modules);
        var chosen = new List<string>();
        var excluded = 0;
        foreach (var module in modules)
        {
            if (module.Path.Length == 0) continue;
            if (IsExcluded(config, module.Path)) excluded++;
            else if (IsTarget(config, module.Path)) chosen.Add(module.Path);
        }

        return chosen.Count > 0 ? chosen : throw NothingChosen(config, excluded, modules);
    }

    /// <summary>
    /// The configuration with "all-linear", or no <c>target_modules</c> at all, replaced by a list of names: what is saved, so that PEFT
    /// (which has no attributes to go by) chooses the same modules.
    /// </summary>
    /// <exception cref="ConfigurationException">The model has no such module.</exception>
    public static AdapterConfig Resolve(AdapterConfig config, IReadOnlyCollection<SelectableModule> modules)
    {
        if (config.TargetModules is { IsAllLinear: false }) return config;
        var paths = config.TargetModules is null
            ? modules.Where(module => module.IsAnnotated).Select(module => module.Path).ToList()
            : modules.Where(module => module is { IsLinear: true, IsOutputLayer: false }).Select(module => module.Path).ToList();
        if (paths.Count == 0)
        {
            throw new ConfigurationException(
                "target_modules",
                config.Path,
                config.TargetModules is null ? "none are given, and the model has no class marked with [FossilAdapt]. Mark one."
                : modules.Where(module => module.IsLinear).Select(module => module.Path).FirstOrDefault() is { } output ? $"'all-linear' leaves out the output layer, and '{output}' is the model's only linear layer. Name it."
                : "'all-linear' chooses nothing: the model has no linear layer.");
        }

        if (config.TargetModules is null || paths.Count >= ShortenFrom) paths = Shorten(paths, modules.Select(module => module.Path));
        return config with { TargetModules = ModuleSelector.Create([.. paths]) };
    }

    /// <summary>Whether the configuration means the module of that path. "all-linear" must have been resolved.</summary>
    public static bool IsChosen(AdapterConfig config, string path) => !IsExcluded(config, path) && IsTarget(config, path);

    /// <summary>The modules that are trained and saved whole (<c>modules_to_save</c>): those whose path ends in one of the names.</summary>
    /// <exception cref="ConfigurationException">The model has none of them.</exception>
    public static IReadOnlyList<string> SelectModulesToSave(AdapterConfig config, IEnumerable<string> paths)
    {
        if (config.ModulesToSave is not { Count: > 0 } names) return [];
        var chosen = paths.Where(path => path.Length > 0 && names.Any(name => path.EndsWith(name, StringComparison.Ordinal))).ToList();
        return chosen.Count > 0
            ? chosen
            : throw new ConfigurationException("modules_to_save", config.Path, $"the model has none of [{string.Join(", ", names)}]. Correct the names.");
    }

    /// <summary>The value of the first pattern that matches the end of the path (<c>rank_pattern</c>, <c>alpha_pattern</c>).</summary>
    public static T PatternValue<T>(IReadOnlyDictionary<string, T> patterns, string path, T otherwise) =>
        FindPattern(string.Empty, null, patterns, path) is { } pattern ? patterns[pattern] : otherwise;

    /// <summary>The first pattern that matches the end of the path; null where none does.</summary>
    /// <param name="field">The field that has the patterns, for messages.</param>
    /// <param name="file">The file that it was read from, for messages.</param>
    /// <param name="patterns">The patterns.</param>
    /// <param name="path">The module's path.</param>
    internal static string? FindPattern<T>(string field, string? file, IReadOnlyDictionary<string, T> patterns, string path) =>
        patterns.Keys.FirstOrDefault(pattern => PythonRegex.Match(field, file, $@"(.*\.)?({pattern})$", path, pattern).Success) ?? (patterns.ContainsKey(path) ? path : null);

    private static bool IsExcluded(AdapterConfig config, string path)
    {
        if (config.ExcludeModules is { } exclude && (exclude.Pattern is { } pattern
            ? PythonRegex.IsFullMatch("exclude_modules", config.Path, pattern, path)
            : exclude.Names.Contains(path) || EndsInOneOf(path, exclude.Names)))
        {
            return true;
        }

        // What is saved whole is not adapted, nor is anything in it.
        return config.ModulesToSave?.Any(name => PythonRegex.Match("modules_to_save", config.Path, $@"(^|.*\.){name}($|\..*)", path, name).Success) ?? false;
    }

    private static bool IsTarget(AdapterConfig config, string path)
    {
        if (config.TargetModules is not { } targets) return false;
        if (targets.Pattern is { } pattern) return PythonRegex.IsFullMatch("target_modules", config.Path, pattern, path);

        // As in PEFT: who names the whole path means it, whatever layers_to_transform says.
        return targets.Names.Contains(path) || (EndsInOneOf(path, targets.Names) && IsInLayers(config, path));
    }

    private static bool EndsInOneOf(string path, IReadOnlyList<string> names)
    {
        foreach (var name in names)
        {
            if (path.Length > name.Length && path[^(name.Length + 1)] == '.' && path.EndsWith(name, StringComparison.Ordinal)) return true;
        }

        return false;
    }

    private static bool IsInLayers(AdapterConfig config, string path)
    {
        if (config.LayersToTransform is not { Count: > 0 } layers) return true;
        var match = config.LayersPattern is { Count: > 0 } patterns
            ? patterns.Select(pattern => PythonRegex.Match("layers_pattern", config.Path, $@".*?\.{pattern}\.(\d+)\.", path, pattern)).FirstOrDefault(match => match.Success)

            // The first number counts: a later one may be the index of an expert.
            : PythonRegex.Match("layers_pattern", config.Path, @".*?\.[^.]*\.(\d+)\.", path);
        return match is { Success: true } && int.TryParse(match.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && layers.Contains(index);
    }

    /// <summary>The shortest suffixes, by dots, that choose the targets and none of the other modules.</summary>
    private static List<string> Shorten(IReadOnlyCollection<string> targets, IEnumerable<string> all)
    {
        var others = all.Except(targets).SelectMany(Suffixes).ToHashSet(StringComparer.Ordinal);
        var chosen = new List<string>();
        foreach (var target in targets)
        {
            if (chosen.Contains(target) || EndsInOneOf(target, chosen)) continue;

            // The whole path is always there to fall back on: a module of another path may well end in it, but is matched then too.
            chosen.Add(Suffixes(target).FirstOrDefault(suffix => !others.Contains(suffix)) ?? target);
        }

        return chosen;
    }

    /// <summary>q_proj, self_attn.q_proj, 0.self_attn.q_proj, …, shortest first.</summary>
    private static IEnumerable<string> Suffixes(string path)
    {
        for (var dot = path.LastIndexOf('.'); dot >= 0; dot = dot == 0 ? -1 : path.LastIndexOf('.', dot - 1)) yield return path[(dot + 1)..];
        yield return path;
    }

    private static ConfigurationException NothingChosen(AdapterConfig config, int excluded, IReadOnlyCollection<SelectableModule> modules)
    {
        var layers = config.LayersToTransform is { Count: > 0 } indices
            ? $" layers_to_transform is [{string.Join(", ", indices)}]{(config.LayersPattern is { Count: > 0 } patterns ? $", layers_pattern [{string.Join(", ", patterns)}]" : string.Empty)}."
            : string.Empty;
        var among = modules.Where(module => module.IsAnnotated).Select(module => NamedModule.Split(module.Path).Name).Distinct().Take(20).ToList();
        var known = among.Count > 0 ? $" The model's attributes name {string.Join(", ", among)}." : string.Empty;
        return new ConfigurationException(
            "target_modules",
            config.Path,
            excluded == 0
                ? $"'{config.TargetModules}' matches no module of the model.{layers}{known} Correct the names."
                : $"'{config.TargetModules}' matches no module of the model but such as exclude_modules or modules_to_save take out.{layers}{known} Correct the three fields.");
    }
}
