namespace Fossil.Methods;

/// <summary>The settings of the attribute or of a method's configuration; that of a method is the field <c>Table</c> of a class in its folder, where what runs in the compiler finds it.</summary>
/// <param name="type">The full name of the attribute or configuration.</param>
/// <param name="settings">Its settings.</param>
internal sealed class SettingTable(string type, params Setting[] settings)
{
    /// <summary>The full name of the attribute or configuration.</summary>
    public string Type { get; } = type;

    /// <summary>The settings.</summary>
    public IReadOnlyList<Setting> Settings { get; } = settings;

    /// <summary>The one of them that chooses the variant; null where the method has only one.</summary>
    public Setting? Variant { get; init; }

    /// <summary>The variant by a value of <see cref="Variant"/>; null where there are none, or the value names none.</summary>
    public Enum? VariantOf(object? value) => value is Enum variant && Variant?.ProblemOf(variant) is null ? variant : null;
}
