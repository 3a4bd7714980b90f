namespace Fossil;

/// <summary>
/// Declares the widths of a custom <c>Module&lt;Tensor, Tensor&gt;</c> with a 2-D weight (out, in), so that the analyzers can follow them as
/// they follow those of <c>Linear</c>. The run time reads the weight itself and does not need it.
/// </summary>
/// <remarks>
/// Each name is that of a constructor parameter, or of a field or property of the class. <c>[AdapterWidths("inFeatures", "outFeatures")]</c>
/// on <c>class QuantizedLinear(int inFeatures, int outFeatures)</c> makes <c>new QuantizedLinear(2050, 64)</c> a layer with input width 2050.
/// </remarks>
/// <param name="inFeatures">Name of the parameter or member that is the input width.</param>
/// <param name="outFeatures">Name of the parameter or member that is the output width.</param>
[AttributeUsage(AttributeTargets.Class)]
public sealed class AdapterWidthsAttribute(string inFeatures, string outFeatures) : Attribute
{
    /// <summary>Name of the parameter or member that is the input width.</summary>
    public string InFeatures { get; } = inFeatures;

    /// <summary>Name of the parameter or member that is the output width.</summary>
    public string OutFeatures { get; } = outFeatures;
}
