using Fossil.Methods.Fossil;
using Fossil.Methods.Lora;

namespace Fossil.Adapters;

/// <summary>The methods that there are. A new one is a folder under Methods and a line here.</summary>
internal static class AdapterMethods
{
    private static readonly AdapterMethod[] All = [FossilMethod.Instance, LoraMethod.Instance];

    /// <summary>The method of a configuration.</summary>
    /// <exception cref="AdapterCombinationException">No method takes it.</exception>
    public static AdapterMethod For(AdapterConfig config) => Array.Find(All, method => method.Accepts(config))
        ?? throw new AdapterCombinationException($"No method of this library takes a configuration of type {config.GetType().Name} (peft_type {config.PeftType}).");
}
