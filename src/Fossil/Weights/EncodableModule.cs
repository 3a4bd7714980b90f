using Fossil.Kernels.OneRow;
using Fossil.Weights;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil;

/// <summary>
/// A module with a matrix named <c>weight</c> that is a floating-point parameter, or has another form (<see cref="LinearWeight"/>), whose tensors are then its buffers: <c>weight</c>, <c>weight_1</c> and
/// so on.
/// </summary>
public abstract class EncodableModule : nn.Module<Tensor, Tensor>
{
    // A field by this name, and no private one: RegisterComponents and Module.to look for it. It is a Parameter, or the buffer of that name.
    private protected Tensor? weight;

    // Its tensors are buffers, which Module.to replaces: each look at the weight takes those that are there.
    private LinearWeight? form;

    private RowProduct? oneRow;

    private protected EncodableModule(string name)
        : base(name)
    {
    }

    /// <summary>Whether the weight is a floating-point parameter, which can be trained, and merged into.</summary>
    public bool IsFloatingPoint => form is null;

    /// <summary>The weight, as it is now.</summary>
    internal LinearWeight Form => form is null ? new FloatWeight(weight!) : HasBuffersOf(form) ? form : form = form.WithData([.. form.Data.Select((_, i) => get_buffer(BufferName(i))!)]);

    /// <summary>The weight's product with a single row of this dtype, made once for as long as the weight stays where it is; null where no kernel of this library makes it.</summary>
    internal RowProduct? OneRow(ScalarType dtype)
    {
        var present = Form;
        if (present.Dtype != dtype) return null;
        return oneRow?.Reads(present.Data[0]) == true ? oneRow : oneRow = present.OneRow();
    }

    /// <summary>Puts a weight of another form in the place of the one that is there, which is disposed: what a reader of quantised files does with a model that has its shape. No adapter may be merged.</summary>
    /// <param name="replacement">W, of the same shape; its tensors become buffers of this module.</param>
    /// <exception cref="ArgumentException">It has another shape.</exception>
    public void Replace(LinearWeight replacement)
    {
        ArgumentNullException.ThrowIfNull(replacement);
        var present = Form;
        if ((replacement.OutFeatures, replacement.InFeatures) != (present.OutFeatures, present.InFeatures))
            throw new ArgumentException($"The layer has a weight of {present.OutFeatures} x {present.InFeatures}, the replacement one of {replacement.OutFeatures} x {replacement.InFeatures}.", nameof(replacement));
        Remove(present);
        Register(replacement);
    }

    /// <summary>Puts a floating-point parameter, which can be trained and merged into, in the place of a weight of another form; without effect where the weight is one.</summary>
    /// <param name="dtype">Its dtype; that in which the weight computes where null.</param>
    public void Expand(ScalarType? dtype = null)
    {
        if (form is null) return;
        var present = Form;
        var expanded = new Parameter(present.ToTensor(dtype ?? present.Dtype), requires_grad: false);
        expanded.DetachFromDisposeScope();
        Remove(present);
        register_parameter(BaseWeight.Name, expanded);
        weight = expanded;
    }

    private bool HasBuffersOf(LinearWeight present)
    {
        var data = present.Data;
        for (var i = 0; i < data.Count; i++)
        {
            if (!ReferenceEquals(data[i], get_buffer(BufferName(i)))) return false;
        }

        return true;
    }

    /// <summary>A parameter of the module, which outlives the dispose scope in which it is made.</summary>
    private protected static Parameter Own(Tensor tensor)
    {
        var parameter = tensor as Parameter ?? new Parameter(tensor);
        parameter.DetachFromDisposeScope();
        return parameter;
    }

    /// <summary>Registers a weight of another form where there is none yet.</summary>
    private protected void Register(LinearWeight replacement)
    {
        form = replacement;
        foreach (var (i, tensor) in replacement.Data.Index())
        {
            tensor.DetachFromDisposeScope();
            ConditionallyRegisterBuffer(BufferName(i), tensor);
            if (i == 0) weight = tensor;
        }
    }

    private void Remove(LinearWeight present)
    {
        if (form is null) ConditionallyRegisterParameter(BaseWeight.Name, (Parameter?)null);
        foreach (var i in Enumerable.Range(0, form is null ? 0 : present.Data.Count)) ConditionallyRegisterBuffer(BufferName(i), null);
        (form, weight) = (null, null);
        foreach (var tensor in present.Data) tensor.Dispose();
    }

    // The first has the name that a layer's weight has in files.
    private static string BufferName(int index) => index switch { 0 => BaseWeight.Name, 1 => BaseWeight.Name + "_1", _ => $"{BaseWeight.Name}_{index}" };
}
