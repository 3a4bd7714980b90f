using Fossil.CompilerServices;
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
        Assert.StartsWith($"{setting}: [FossilAdapt] of OneLinear on 'proj':", error.Message);
        Assert.All(model.named_parameters(), entry => Assert.True(entry.parameter.requires_grad));

        // A configuration has its own settings, and takes only the choice from the attributes.
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4 });
        Assert.Single(adapted.TrainableParameters());
    }
}
