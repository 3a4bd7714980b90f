namespace Fossil.Adapters;

/// <summary>The names of one kind of adapter parameter, in PEFT's terms.</summary>
/// <param name="Kind">What it is: <c>miss_block</c>, <c>lora_A</c>.</param>
/// <param name="FileSuffix">What follows the module's path in a file: <c>miss_block</c>, <c>lora_A.weight</c>.</param>
/// <param name="InModule">Whether PEFT keeps it in a module of its own, so that in memory <c>.weight</c> follows the adapter's name.</param>
public sealed record AdapterParameterName(string Kind, string FileSuffix, bool InModule = false)
{
    /// <summary>What earlier versions of PEFT wrote instead of <see cref="FileSuffix"/>; null where they did not.</summary>
    internal string? EarlierFileSuffix { get; init; }

    /// <summary>The name in <c>named_parameters</c>, after the module's path: <c>miss_block.default</c>, <c>lora_A.default.weight</c>.</summary>
    public string Registered(string adapterName) => InModule ? $"{Kind}.{adapterName}.weight" : $"{Kind}.{adapterName}";
}
