using System.Globalization;
using Fossil.Methods;

namespace Fossil.CodeModel;

/// <summary>The settings of one <c>[FossilAdapt]</c>.</summary>
public sealed record AdapterSettings
{
    private static readonly EquatableArray<double> Defaults = AdaptSettings.Table.Settings.Select(setting => Number(setting.DefaultValue)).ToEquatableArray();

    /// <summary>The values in the order of the declaration, as numbers: that they compare by value keeps the model equal to the next edit's.</summary>
    private EquatableArray<double> values = Defaults;

    internal int ShardSize => Of(AdaptSettings.ShardSize);

    internal FossilVariant Variant => Of(AdaptSettings.Variant);

    internal int MiniSize => Of(AdaptSettings.MiniSize);

    internal bool AllowPadding => Of(AdaptSettings.AllowPadding);

    /// <summary>Whether only a configuration at run time, with settings of its own, adapts the targets.</summary>
    internal bool OnRequest => Of(AdaptSettings.OnRequest);

    /// <summary>The value of a setting.</summary>
    internal object Of(Setting setting)
    {
        var number = values[Index(setting)];
        return setting.Type.IsEnum ? Enum.ToObject(setting.Type, (long)number) : Convert.ChangeType(number, setting.Type, CultureInfo.InvariantCulture);
    }

    /// <summary>The settings with one of another value.</summary>
    internal AdapterSettings With(Setting setting, object value)
    {
        var index = Index(setting);
        return this with { values = values.Select((old, at) => at == index ? Number(value) : old).ToEquatableArray() };
    }

    private T Of<T>(Setting<T> setting)
        where T : struct => (T)Of((Setting)setting);

    private static int Index(Setting setting) => AdaptSettings.Table.Settings.TakeWhile(other => other != setting).Count();

    private static double Number(object value) => Convert.ToDouble(value, CultureInfo.InvariantCulture);
}
