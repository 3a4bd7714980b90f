using System.Text.Json;

namespace Fossil.Adapters;

/// <summary>The methods that there are. A new one is a folder under Methods and a line here.</summary>
internal static class AdapterMethods
{
    /// <summary>All methods.</summary>
    public static readonly IReadOnlyList<AdapterMethod> All =
    [
        Methods.Miss.FossilMethod.Instance,
        Methods.Lora.LoraMethod.Instance,
        Methods.Vera.VeraMethod.Instance,
        Methods.IA3.IA3Method.Instance,
    ];

    /// <summary>The configuration that stands for the settings of attributes.</summary>
    public static AdapterConfig OfAttributes => All.Select(method => method.OfAttributes).OfType<AdapterConfig>().Single();

    /// <summary>The names of the methods that can do something, for messages.</summary>
    public static string WithAbility(AdapterAbilities ability) => string.Join(", ", All.Where(method => method.Abilities.HasFlag(ability)).Select(method => method.Name));

    /// <summary>The method of a configuration.</summary>
    /// <exception cref="AdapterCombinationException">No method takes it.</exception>
    public static AdapterMethod For(AdapterConfig config) => All.FirstOrDefault(method => method.Accepts(config))
        ?? throw new AdapterCombinationException($"No method of this library takes a configuration of type {config.GetType().Name} (peft_type {config.PeftType}).");

    /// <summary>Reads the configuration of the method that the file names.</summary>
    /// <exception cref="ConfigurationException">The method is missing or unknown, or a value cannot be used.</exception>
    public static AdapterConfig ReadConfig(AdapterConfigReader reader)
    {
        const string Field = "peft_type";
        var known = string.Join(", ", All.SelectMany(method => method.PeftTypes));
        if (reader.Get(Field) is not { } node) throw reader.Invalid(Field, $"it is missing. Write one of {known}.");
        return node.GetValueKind() == JsonValueKind.String && All.FirstOrDefault(method => method.PeftTypes.Contains(node.GetValue<string>())) is { } named
            ? named.ReadConfig(reader)
            : throw reader.Wrong(Field, node, $"one of the methods that Fossil has: {known}");
    }
}
