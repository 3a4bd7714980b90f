namespace Fossil;

/// <summary>
/// A module that computes y = x Wᵀ + b and nothing else, with a weight of any form: adapters act on one that implements this as they do on TorchSharp's <c>Linear</c>. A bias is registered as <c>bias</c>.
/// </summary>
public interface ILinearLayer
{
    /// <summary>W, as it is now.</summary>
    LinearWeight Weight { get; }
}
