using Fossil.Weights;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil;

/// <summary>
/// A linear layer without bias that uses the weight of another module, such as an output layer that shares the embedding's (PyTorch: <c>head.weight = embed.weight</c>), until it gets one of its own.
/// It reads the other module's weight at each call and registers none, so the tie survives <c>Module.to</c>; in TorchSharp, one Parameter that two modules register does not.
/// </summary>
/// <remarks>An adapter that changes one of both modules gives this one a weight of its own for as long as that is needed: while it is merged, or while a module of <c>modules_to_save</c> has the adapter's values.</remarks>
public sealed class TiedLinear : nn.Module<Tensor, Tensor>, ILinearLayer
{
    private readonly nn.Module source;
    private int claims;
    private int holds;
    private bool isUntied;

    // The layer's own weight while it is tied in between. A Parameter in a field would be registered, were it not for RegisterComponents.
    private Parameter? spare;

    /// <summary>Creates the layer.</summary>
    /// <param name="source">The module whose <c>weight</c> (out, in) it uses; it is registered elsewhere in the model.</param>
    /// <exception cref="ArgumentException">The module has no 2-D parameter or buffer named <c>weight</c>.</exception>
    public TiedLinear(nn.Module source)
        : base(nameof(TiedLinear))
    {
        ArgumentNullException.ThrowIfNull(source);
        if (BaseWeight.Of(source) is null || BaseWeight.Find(source) is { } matrix && matrix.dim() != 2) throw new ArgumentException($"{source.GetName()} has no 2-D weight that a linear layer could use. Give the module that holds the matrix, such as the embedding.", nameof(source));
        this.source = source;
    }

    /// <summary>Whether it uses the other module's weight.</summary>
    public bool IsTied => Own is null;

    /// <summary>The weight (out, in) that it uses now.</summary>
    /// <exception cref="NotAdaptableException">The other module holds it in another form.</exception>
    public Tensor Weight => Form is FloatWeight form ? form.Tensor : throw new NotAdaptableException($"The weight of {source.GetName()} is held as {Form.GetType().Name}, not as a floating-point tensor.");

    LinearWeight ILinearLayer.Weight => Form;

    /// <summary>Whether it was untied for good, not only for as long as an adapter needs it.</summary>
    internal bool IsUntied => isUntied;

    /// <summary>Whether it is tied again when it is released next.</summary>
    internal bool IsLastHold => holds == 1 && !isUntied;

    /// <summary>The module that it is tied to.</summary>
    internal nn.Module Source => source;

    private LinearWeight Form => Own is { } own ? new FloatWeight(own) : BaseWeight.Of(source)!;

    private Tensor? Own => get_parameter(BaseWeight.Name);

    /// <summary>x (…, in) to x Wᵀ (…, out).</summary>
    public override Tensor forward(Tensor input) => Form is FloatWeight form ? FloatWeight.Linear(input, form.Tensor, bias: null) : Form.Apply(input);

    /// <summary>Gives the layer a weight of its own, with the values that it has now, for good.</summary>
    public void Untie()
    {
        isUntied = true;
        CreateOwn();
    }

    /// <summary>Drops the layer's own weight, so that it uses the other module's again.</summary>
    /// <exception cref="AdapterStateException">An adapter needs the layer's own weight: it is merged, or has values of its own for one of both modules.</exception>
    public void Tie()
    {
        if (holds > 0) throw new AdapterStateException($"The layer cannot be tied to {source.GetName()} again while an adapter is merged into one of both, or has a copy of one. Unmerge or deactivate it first.");
        isUntied = false;
        DropOwn();
    }

    /// <summary>Says that the layer will be held more than once: its own weight is the same Parameter each time.</summary>
    internal void Claim() => claims++;

    /// <summary>Ends one <see cref="Claim"/>.</summary>
    internal void Unclaim()
    {
        if (--claims > 0 || spare is null) return;
        spare.Dispose();
        spare = null;
    }

    /// <summary>Gives the layer a weight of its own until <see cref="Release"/> was called as often.</summary>
    internal void Hold()
    {
        holds++;
        CreateOwn();
    }

    /// <summary>Ends one <see cref="Hold"/>.</summary>
    internal void Release()
    {
        if (--holds == 0 && !isUntied) DropOwn();
    }

    /// <summary>Puts a parameter in the place of the layer's own weight, which lives on.</summary>
    internal void Put(Parameter parameter) => ConditionallyRegisterParameter(BaseWeight.Name, parameter);

    /// <summary>The fields hold no component: the other module is registered where it belongs.</summary>
    protected override void RegisterComponents()
    {
    }

    private void CreateOwn()
    {
        if (!IsTied) return;
        var own = Separation.Copy(Weight, spare);
        spare = null;
        register_parameter(BaseWeight.Name, own);
    }

    private void DropOwn()
    {
        if (get_parameter(BaseWeight.Name) is not { } own) return;
        ConditionallyRegisterParameter(BaseWeight.Name, (Parameter?)null);
        if (claims > 0) spare = own;
        else own.Dispose();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) spare?.Dispose();
        base.Dispose(disposing);
    }
}
