using Fossil.Weights;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil;

/// <summary>
/// A linear layer y = x Wᵀ + b whose weight has any form: a floating-point parameter, as TorchSharp's <c>Linear</c> has it and with the same names, or one that reads a quantised format
/// (<see cref="LinearWeight"/>). Adapters act on it as on <c>Linear</c>.
/// </summary>
[AdapterWidths("inFeatures", "outFeatures")]
public sealed class LinearLayer : EncodableModule, ILinearLayer
{
    // A field by this name: RegisterComponents and Module.to look for it.
    private Parameter? bias;

    /// <summary>A layer with fresh weights, the same numbers as <c>torch.nn.Linear</c> would start with.</summary>
    /// <param name="inFeatures">Width of the input.</param>
    /// <param name="outFeatures">Width of the output.</param>
    /// <param name="hasBias">Whether there is a bias.</param>
    /// <param name="device">The device; the CPU where null.</param>
    /// <param name="dtype">The dtype; float32 where null.</param>
    public LinearLayer(long inFeatures, long outFeatures, bool hasBias = true, Device? device = null, ScalarType? dtype = null)
        : this(empty(outFeatures, inFeatures, dtype: dtype, device: device), hasBias ? empty(outFeatures, dtype: dtype, device: device) : null)
    {
        using var noGrad = no_grad();
        nn.init.kaiming_uniform_(weight!, a: Math.Sqrt(5));
        var bound = 1 / Math.Sqrt(inFeatures);
        if (bias is not null) nn.init.uniform_(bias, -bound, bound);
    }

    /// <summary>A layer with a floating-point weight that is there.</summary>
    /// <param name="weight">W (out, in); where it is a Parameter, that Parameter.</param>
    /// <param name="bias">b (out), or null.</param>
    /// <exception cref="ArgumentException">The shapes belong to no linear layer.</exception>
    public LinearLayer(Tensor weight, Tensor? bias = null)
        : base(nameof(LinearLayer))
    {
        ArgumentNullException.ThrowIfNull(weight);
        if (weight.dim() != 2) throw new ArgumentException($"A linear layer has a weight (out, in), not ({string.Join(", ", weight.shape)}).", nameof(weight));
        CheckBias(bias, weight.size(0));
        (this.weight, this.bias) = (Own(weight), bias is null ? null : Own(bias));
        RegisterComponents();
    }

    /// <summary>A layer with a weight of any form, whose tensors become its buffers.</summary>
    /// <param name="weight">W.</param>
    /// <param name="bias">b (out), or null.</param>
    /// <exception cref="ArgumentException">The bias has another width.</exception>
    public LinearLayer(LinearWeight weight, Tensor? bias = null)
        : base(nameof(LinearLayer))
    {
        ArgumentNullException.ThrowIfNull(weight);
        CheckBias(bias, weight.OutFeatures);
        this.bias = bias is null ? null : Own(bias);
        RegisterComponents();
        Register(weight);
    }

    /// <summary>W, as it is now.</summary>
    public LinearWeight Weight => Form;

    /// <summary>b (out), or null.</summary>
    public Tensor? Bias => bias;

    /// <summary>x (…, in) to x Wᵀ + b (…, out).</summary>
    public override Tensor forward(Tensor input) => IsFloatingPoint ? FloatWeight.Linear(input, weight!, bias) : Form.Apply(input, bias);

    /// <summary>Puts a parameter in the place of another one, which lives on.</summary>
    internal void Put(string name, Parameter parameter)
    {
        ConditionallyRegisterParameter(name, parameter);
        if (name == BaseWeight.Name) weight = parameter;
        else bias = parameter;
    }

    private static void CheckBias(Tensor? bias, long width)
    {
        if (bias is not null && !bias.shape.SequenceEqual([width])) throw new ArgumentException($"The bias has shape ({string.Join(", ", bias.shape)}); a layer of {width} outputs needs ({width}).", nameof(bias));
    }
}
