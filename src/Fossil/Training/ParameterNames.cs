using System.Text.RegularExpressions;

namespace Fossil.Training;

/// <summary>What the name of a parameter says about how it is trained.</summary>
public static partial class ParameterNames
{
    /// <summary>
    /// Whether weight decay leaves the parameter alone, as transformers' <c>Trainer.get_decay_parameter_names</c> decides by name: biases, and the
    /// weights of layer norms.
    /// </summary>
    public static bool IsExcludedFromWeightDecay(string name) => Excluded().IsMatch(name);

    [GeneratedRegex(@"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Excluded();
}
