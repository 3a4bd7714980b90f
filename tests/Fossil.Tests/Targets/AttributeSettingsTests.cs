using Fossil.CompilerServices;
using Fossil.Methods.Miss;
using Fossil.Tests.Adapters;

namespace Fossil.Tests.Targets;

/// <summary>Settings of attributes that the analyzers refuse, in a program that switched the rules off.</summary>
public class AttributeSettingsTests
{
    public static TheoryData<string, AdapterDefaults> Settings() => new()
    {
        { nameof(FossilAdaptAttribute.Dropout), new(ShardSize: 4, Dropout: 1) },
        { nameof(FossilAdaptAttribute.Dropout), new(ShardSize: 4, Dropout: 1.5) },
        { nameof(FossilAdaptAttribute.Dropout), new(ShardSize: 4, Dropout: -0.1) },
        { nameof(FossilAdaptAttribute.Dropout), new(ShardSize: 4, Dropout: double.NaN) },
        { nameof(FossilAdaptAttribute.ShardSize), new(ShardSize: 0) },
        { nameof(FossilAdaptAttribute.ShardSize), new(ShardSize: int.MinValue) },
        { nameof(FossilAdaptAttribute.MiniSize), new(ShardSize: 4, Variant: FossilVariant.Mini, MiniSize: -1) },
        { nameof(FossilAdaptAttribute.Variant), new(ShardSize: 4, Variant: (FossilVariant)7) },
    };

    [Theory]
    [MemberData(nameof(Settings))]
    public void Are_refused_by_the_attributes_own_names(string setting, AdapterDefaults defaults)
    {
        using var model = new OneLinear(8, 8, defaults: defaults);
        var error = Assert.Throws<ConfigurationException>(() => model.AttachAdapters());
        Assert.Equal(setting, error.Field);
        Assert.Equal($"{setting}: [FossilAdapt] of OneLinear on 'proj': {Problem(setting, defaults)}", error.Message);
        Assert.All(model.named_parameters(), entry => Assert.True(entry.parameter.requires_grad));

        // A configuration has its own settings, and takes only the choice from the attributes.
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4 });
        Assert.Single(adapted.TrainableParameters());
    }

    /// <summary>What the analyzers report of the value.</summary>
    private static string? Problem(string setting, AdapterDefaults defaults) =>
        AdaptSettings.Table.Settings.Single(one => one.Name == setting).ProblemOf(typeof(AdapterDefaults).GetProperty(setting)!.GetValue(defaults)!);

    [Fact]
    public void All_reach_the_configuration()
    {
        var defaults = new AdapterDefaults(ShardSize: 3, Variant: FossilVariant.Mini, MiniSize: 5, Dropout: 0.25, AllowPadding: true) { OnRequest = true };
        var config = new FossilConfig().With(defaults);
        foreach (var setting in AdaptSettings.Table.Settings)
        {
            var value = typeof(AdapterDefaults).GetProperty(setting.Name)!.GetValue(defaults);
            Assert.False(setting.DefaultValue.Equals(value), $"{setting.Name} has its default, so that this shows nothing: give it another value here");
            if (FossilSettings.Table.Settings.Contains(setting)) Assert.Equal(value, typeof(FossilConfig).GetProperty(setting.Name)!.GetValue(config));
        }
    }
}
