using Fossil.CompilerServices;
using Fossil.Concurrency;
using Fossil.Kernels.OneRow;
using Fossil.Targets;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>A projection of the model that has, or may get, adapters.</summary>
public sealed class AdaptedTarget
{
    private readonly List<AdapterLayer> layers = [];
    private ForwardPlan plan = ForwardPlan.Base;

    internal AdaptedTarget(nn.Module owner, string ownerPath, string localPath, string path, nn.Module<Tensor, Tensor> module, AdapterTarget declared)
    {
        Owner = owner;
        LocalPath = localPath;
        Path = path;
        RegisteredPath = NamedModule.Join(ownerPath, localPath);
        Module = module;
        Base = new BaseLayer(module, path);
        Member = declared.Member;
        Defaults = declared.Defaults;
    }

    /// <summary>The projection itself.</summary>
    public nn.Module<Tensor, Tensor> Module { get; }

    /// <summary>The annotated module that holds it; adapter parameters are registered there.</summary>
    public nn.Module Owner { get; }

    /// <summary>The path from the owner, by the names that TorchSharp has: <c>q_proj</c>; for a property without a body <c>&lt;Gate&gt;k__BackingField</c>.</summary>
    public string LocalPath { get; }

    /// <summary>The path from the model, by the names in the source, which configurations and files use: <c>model.layers.0.self_attn.q_proj</c>.</summary>
    public string Path { get; }

    /// <summary>The path from the model by the names that TorchSharp has, under which earlier versions saved adapters.</summary>
    internal string RegisteredPath { get; }

    /// <summary>The member that the attribute names, with an index or key for an element.</summary>
    internal string Member { get; }

    /// <summary>The settings of the attribute.</summary>
    public AdapterDefaults Defaults { get; }

    /// <summary>The layers of all adapters, active or not, in the order in which they were added.</summary>
    public IReadOnlyList<AdapterLayer> Layers => layers;

    /// <summary>The base weight (out, in), as it is now; (in, out) where <see cref="IsEmbedding"/>.</summary>
    /// <exception cref="NotAdaptableException">The projection holds it in another form than one floating-point tensor (<see cref="ILinearLayer"/>).</exception>
    public Tensor Weight => Base.Weight is FloatWeight weight ? weight.Tensor
        : throw new NotAdaptableException($"The weight of '{Path}' is held as {Base.Weight.GetType().Name}, not as a floating-point tensor. Its layer gives it as {nameof(ILinearLayer)}.{nameof(ILinearLayer.Weight)}, of which {nameof(LinearWeight.ToTensor)} makes one.");

    /// <summary>The base bias (out), if the projection has one.</summary>
    public Tensor? Bias => Base.Bias;

    /// <summary>Whether it looks rows of its weight up: the weight is then (in, out), and the input are indices.</summary>
    public bool IsEmbedding => Base.IsEmbedding;

    /// <summary>Width of the input; of an embedding, the number of its entries.</summary>
    public long InFeatures => Base.InFeatures;

    /// <summary>Width of the output.</summary>
    public long OutFeatures => Base.OutFeatures;

    /// <summary>The projection as methods, merging and saving see it.</summary>
    internal BaseLayer Base { get; }

    /// <summary>Where the weight is.</summary>
    internal WeightPlace WeightPlace => new(new NamedModule(Path, RegisteredPath, Module), BaseWeight.Name);

    /// <summary>Where the bias is, where there is one.</summary>
    internal WeightPlace BiasPlace => WeightPlace with { Name = BaseWeight.BiasName };

    /// <summary>The layer of the named adapter, if this target has one.</summary>
    public AdapterLayer? FindLayer(string adapterName) => layers.Find(layer => layer.AdapterName == adapterName);

    /// <summary>The targets of the same annotated module by their members, this one among them.</summary>
    internal IReadOnlyDictionary<string, AdaptedTarget> Siblings { get; init; } = new Dictionary<string, AdaptedTarget>();

    /// <summary>Lets one thread at a time into the model; set when adapters are attached.</summary>
    internal ModelGuard? Guard { get; set; }

    internal void AddLayer(AdapterLayer layer) => layers.Add(layer);

    internal void RemoveLayer(AdapterLayer layer) => layers.Remove(layer);

    /// <summary>Whether the projection's own forward pass is all there is to do: no adapter acts, and products are made in the weight's dtype.</summary>
    internal bool RunsBaseAlone => plan.IsBase && !Base.CastsWeight;

    /// <summary>What the active adapter adds to the projection's output for a single row without a gradient; null where more is to be done than that.</summary>
    internal RowTerm? RowTerm => Base.CastsWeight ? null : plan.RowTerm;

    internal void SetPlan(ForwardPlan plan) => this.plan = plan;

    /// <summary>The target's forward pass with whatever is active now.</summary>
    internal Tensor Forward(Tensor input)
    {
        using var entry = Guard!.Enter();
        var plan = this.plan;
        if (RunsBaseAlone) return Base.Forward(input);

        plan.NoteRun();
        if (IsEmbedding)
        {
            CheckIndices(input);
            return plan.Run(this, input);
        }

        var weight = Base.ProductWeight;
        CheckInput(input, weight.InFeatures);
        if (input.dtype == weight.Dtype) return plan.Run(this, input);

        // As PEFT: the computation is in the layer's dtype, the result in the input's. Under autocast x is taken as it is, and some methods leave the result as the linear layer gives it.
        var isAutocast = Base.HasBf16Products && weight.Dtype == ScalarType.BFloat16;
        using var converted = isAutocast && input.dtype != ScalarType.Float64 ? null : input.to(weight.Dtype);
        var result = plan.Run(this, converted ?? input);
        if (result.dtype == input.dtype || (isAutocast && !plan.ReturnsInputDtype)) return result;
        using (result) return result.to(input.dtype);
    }

    /// <summary>As <see cref="Forward(Tensor)"/>, in one of several calls that read the same value.</summary>
    /// <param name="input">x (…, in).</param>
    /// <param name="group">The calls.</param>
    internal Tensor Forward(Tensor input, ProjectionGroup group) => SharedInput.TryTake(this, plan, input, group) ?? SharedInput.TryRun(this, input, group) ?? Forward(input);

    /// <summary>What <see cref="Forward(Tensor)"/> runs, where that may be part of a call with others: the product with a frozen weight, in the input's own dtype, and adapters of one method.</summary>
    internal (ForwardPlan Plan, AdapterMethod Method, TargetPass Pass)? SharedPass(Tensor input)
    {
        if (plan.IsBase || IsEmbedding || ModuleHooks.HasAnyOthers(Module) || Base.Frozen is not { } weight || input.dtype != weight.Dtype || input.dim() == 0 || input.size(-1) != weight.InFeatures) return null;
        return plan.OnlyPass(this, input) is var (method, pass) ? (plan, method, pass) : null;
    }

    private void CheckIndices(Tensor input)
    {
        if (input.dtype is not (ScalarType.Int64 or ScalarType.Int32)) throw new AdapterInputException($"The input of '{Path}' has dtype {input.dtype}; an embedding needs indices, int64 or int32.");
    }

    private void CheckInput(Tensor input, long inFeatures)
    {
        if (input.dim() == 0 || input.size(-1) != inFeatures)
            throw new AdapterInputException($"The input of '{Path}' has shape ({string.Join(", ", input.shape)}); its last dimension must be {inFeatures}.");
        if (!is_floating_point(input))
            throw new AdapterInputException($"The input of '{Path}' has dtype {input.dtype}; a floating-point dtype is needed.");
    }
}
