namespace Fossil.Methods;

/// <summary>The settings of a method's configuration. The field <c>Table</c> of a class in the method's folder, where what runs in the compiler finds it.</summary>
/// <param name="configuration">The full name of the configuration's type.</param>
/// <param name="settings">Its settings.</param>
internal sealed class SettingTable(string configuration, params Setting[] settings)
{
    /// <summary>The full name of the configuration's type.</summary>
    public string Configuration { get; } = configuration;

    /// <summary>The settings.</summary>
    public IReadOnlyList<Setting> Settings { get; } = settings;

    /// <summary>The one of them that chooses the variant; null where the method has only one.</summary>
    public Setting? Variant { get; init; }

    /// <summary>The variant by a value of <see cref="Variant"/>; null where there are none, or the value names none.</summary>
    public Enum? VariantOf(object? value) => value is Enum variant && Variant?.ProblemOf(variant) is null ? variant : null;
}
