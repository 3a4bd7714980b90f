using Fossil.Methods;

namespace Fossil.CodeModel;

/// <summary>The settings of all methods' configurations.</summary>
internal static class ConfigurationTables
{
    /// <summary>The tables. They are looked for, so that a method is a folder, and no list here has to know it.</summary>
    public static readonly IReadOnlyList<SettingTable> All =
    [
        .. typeof(SettingTable).Assembly.GetTypes()
            .Where(type => type.Namespace?.StartsWith(typeof(SettingTable).Namespace + ".", StringComparison.Ordinal) == true)
            .Select(type => type.GetField("Table")?.GetValue(null)).OfType<SettingTable>(),
    ];
}
