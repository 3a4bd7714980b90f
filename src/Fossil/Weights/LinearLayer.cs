using Fossil.Weights;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil;

/// <summary>
/// A linear layer y = x Wᵀ + b whose weight has any form: a floating-point parameter, as TorchSharp's <c>Linear</c> has it and with the same names, or one that reads a quantised format
/// (<see cref="LinearWeight"/>). Adapters act on it as on <c>Linear</c>.
/// </summary>
public sealed class LinearLayer : nn.Module<Tensor, Tensor>, ILinearLayer
{
    // Fields by these names: RegisterComponents and Module.to look for them. The weight is a Parameter, or the buffer of that name.
    private Tensor? weight;
    private Parameter? bias;

    // Its tensors are buffers, which Module.to replaces: each look at the weight takes those that are there.
    private LinearWeight? form;

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
        CheckBias(bias, weight.shape[0]);
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
    public LinearWeight Weight => form is null ? new FloatWeight(weight!) : form = form.WithData([.. form.Data.Select((_, i) => get_buffer(BufferName(i))!)]);

    /// <summary>b (out), or null.</summary>
    public Tensor? Bias => bias;

    /// <summary>Whether the weight is a floating-point parameter, which can be trained, and merged into.</summary>
    public bool IsFloatingPoint => form is null;

    /// <summary>x (…, in) to x Wᵀ + b (…, out).</summary>
    public override Tensor forward(Tensor input) => form is null ? nn.functional.linear(input, weight!, bias) : Weight.Apply(input, bias);

    /// <summary>Puts a weight of another form in the place of the one that is there, which is disposed: what a reader of quantised files does with a model that has its shape. No adapter may be merged.</summary>
    /// <param name="replacement">W, of the same shape; its tensors become buffers of this layer.</param>
    /// <exception cref="ArgumentException">It has another shape.</exception>
    public void Replace(LinearWeight replacement)
    {
        ArgumentNullException.ThrowIfNull(replacement);
        var present = Weight;
        if ((replacement.OutFeatures, replacement.InFeatures) != (present.OutFeatures, present.InFeatures))
            throw new ArgumentException($"The layer has a weight of {present.OutFeatures} x {present.InFeatures}, the replacement one of {replacement.OutFeatures} x {replacement.InFeatures}.", nameof(replacement));
        ConditionallyRegisterParameter(BaseWeight.Name, (Parameter?)null);
        weight = null;
        foreach (var i in Enumerable.Range(0, form is null ? 0 : present.Data.Count)) ConditionallyRegisterBuffer(BufferName(i), null);
        form = null;
        foreach (var tensor in present.Data) tensor.Dispose();
        Register(replacement);
    }

    /// <summary>Puts a parameter in the place of another one, which lives on.</summary>
    internal void Put(string name, Parameter parameter)
    {
        ConditionallyRegisterParameter(name, parameter);
        if (name == BaseWeight.Name) weight = parameter;
        else bias = parameter;
    }

    private void Register(LinearWeight replacement)
    {
        form = replacement;
        foreach (var (i, tensor) in replacement.Data.Index())
        {
            tensor.DetachFromDisposeScope();
            register_buffer(BufferName(i), tensor);
            if (i == 0) weight = tensor;
        }
    }

    // The first has the name that a layer's weight has in files.
    private static string BufferName(int index) => index == 0 ? BaseWeight.Name : $"{BaseWeight.Name}_{index}";

    private static Parameter Own(Tensor tensor)
    {
        var parameter = tensor as Parameter ?? new Parameter(tensor);
        parameter.DetachFromDisposeScope();
        return parameter;
    }

    private static void CheckBias(Tensor? bias, long width)
    {
        if (bias is not null && !bias.shape.SequenceEqual([width])) throw new ArgumentException($"The bias has shape ({string.Join(", ", bias.shape)}); a layer of {width} outputs needs ({width}).", nameof(bias));
    }
}
