using System.Text.Json;

namespace Fossil;

/// <summary>Which configuration belongs to which <c>peft_type</c>: the one list that a new method's configuration is entered in.</summary>
internal static class AdapterMethodConfigs
{
    private static readonly Dictionary<string, Func<ConfigReader, AdapterConfig>> Factories = new(StringComparer.Ordinal)
    {
        [FossilConfig.PeftTypeName] = reader => new FossilConfig(reader),
        [FossilConfig.LegacyPeftTypeName] = reader => new FossilConfig(reader),
        [LoraConfig.PeftTypeName] = reader => new LoraConfig(reader),
    };

    /// <summary>Reads the configuration of the method that the file names.</summary>
    /// <exception cref="ConfigurationException">The method is missing or unknown, or a value cannot be used.</exception>
    public static AdapterConfig Create(ConfigReader reader)
    {
        const string Field = "peft_type";
        if (reader.Get(Field) is not { } node) throw reader.Invalid(Field, $"it is missing. Write one of {string.Join(", ", Factories.Keys)}.");
        return node.GetValueKind() == JsonValueKind.String && Factories.TryGetValue(node.GetValue<string>(), out var create)
            ? create(reader)
            : throw reader.Wrong(Field, node, $"one of the methods that Fossil has: {string.Join(", ", Factories.Keys)}");
    }
}
