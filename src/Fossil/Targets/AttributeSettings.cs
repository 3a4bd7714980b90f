using Fossil.Adapters;

namespace Fossil.Targets;

/// <summary>The settings of an attribute as the configuration of a target.</summary>
internal static class AttributeSettings
{
    /// <summary>The configuration of a target for which only its attribute says something.</summary>
    /// <exception cref="ConfigurationException">A setting of the attribute cannot be used: the analyzers say so too, but a rule can be switched off.</exception>
    public static AdapterConfig Of(AdaptedTarget target, AdapterMethod method, AdapterConfig config)
    {
        var settings = method.FromDefaults(config, target.Defaults);
        try
        {
            settings.Validate();
        }
        catch (ConfigurationException exception)
        {
            throw new ConfigurationException(method.AttributeName(exception.Field), null, $"[FossilAdapt] of {target.Owner.GetType().Name} on '{target.Member}': {exception.Problem}", exception);
        }
        return settings;
    }
}
