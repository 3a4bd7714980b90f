using Fossil.Adapters;
using Fossil.CompilerServices;
using Fossil.Concurrency;
using Fossil.Kernels;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>LoRA (arXiv 2106.09685; PEFT: <c>tuners/lora/layer.py</c>): y = x Wᵀ + b + s·(x Aᵀ) Bᵀ with A (r, in), B (out, r), s = alpha / r, or alpha / √r where rank-stabilised.</summary>
internal class LoraLayer : AdapterLayer
{
    /// <summary>A (r, in).</summary>
    public static readonly AdapterParameterName FactorA = new("lora_A", "lora_A.weight", InModule: true);

    /// <summary>B (out, r).</summary>
    public static readonly AdapterParameterName FactorB = new("lora_B", "lora_B.weight", InModule: true);

    /// <summary>A₀ (r, in), which a PiSSA adapter started from.</summary>
    public static readonly AdapterParameterName InitialFactorA = new("initial_lora_A", FactorA.FileSuffix, InModule: true);

    /// <summary>B₀ (out, r), which a PiSSA adapter started from.</summary>
    public static readonly AdapterParameterName InitialFactorB = new("initial_lora_B", FactorB.FileSuffix, InModule: true);

    private const string RankPatternField = "rank_pattern";
    private const string AlphaPatternField = "alpha_pattern";

    private static readonly AdapterParameterName[] Factors = [FactorA, FactorB];

    private static readonly AdapterParameterName[] InitialFactors = [InitialFactorA, InitialFactorB];

    public LoraLayer(AdaptedTarget target, string adapterName, LoraConfig config)
        : base(target, adapterName)
    {
        Config = config;
        var (rankPattern, alphaPattern) = (TargetSelector.FindPattern(RankPatternField, config.Path, config.RankPattern, target.Path), TargetSelector.FindPattern(AlphaPatternField, config.Path, config.AlphaPattern, target.Path));
        Rank = rankPattern is null ? config.Rank : config.RankPattern[rankPattern];
        var alpha = alphaPattern is null ? config.Alpha : config.AlphaPattern[alphaPattern];
        Scale = config.UseRslora ? alpha / Math.Sqrt(Rank) : alpha / Rank;
        if (!IsPissa) return;
        var largest = Math.Min(target.InFeatures, target.OutFeatures);
        if (Rank > largest)
            throw new ConfigurationException(rankPattern is null ? "r" : RankPatternField, config.Path, $"PiSSA cannot take {Rank} singular values out of '{target.Path}', which has {largest}. Choose a smaller rank.");
        if (Scale == 0) throw new ConfigurationException(alphaPattern is null ? "lora_alpha" : AlphaPatternField, config.Path, $"PiSSA divides by alpha, which is 0 for '{target.Path}'. Choose another.");
    }

    public LoraConfig Config { get; }

    /// <summary>r, of this target.</summary>
    public int Rank { get; }

    /// <summary>s, of this target.</summary>
    public double Scale { get; }

    public Tensor A => Parameter(NameOfA);

    public Tensor B => Parameter(NameOfB);

    public override AdapterMethod Method => LoraMethod.Instance;

    public override IReadOnlyList<AdapterParameterName> ParameterNames => Factors;

    internal override IReadOnlyList<AdapterParameterName> BufferNames => IsPissa ? InitialFactors : [];

    /// <summary>Whether A and B start as a part of the weight, so that the adapter adds s·(B A − B₀ A₀). As in PEFT, the initialisations that decompose a weight leave embeddings alone.</summary>
    public bool IsPissa => Config.InitLoraWeights.IsPissa && !Target.IsEmbedding;

    /// <summary>A₀ of a PiSSA adapter.</summary>
    public Tensor InitialA => Buffer(InitialFactorA);

    /// <summary>B₀ of a PiSSA adapter.</summary>
    public Tensor InitialB => Buffer(InitialFactorB);

    public override bool ChangesBase => IsPissa;

    /// <summary>The names of A and B.</summary>
    protected virtual AdapterParameterName NameOfA => FactorA;

    protected virtual AdapterParameterName NameOfB => FactorB;

    public override void CreateParameters(bool trainable, Device device)
    {
        var (a, b) = Initial(device);
        if (TiedTo is LoraLayer source)
        {
            if (source.Rank != Rank)
                throw new ConfigurationException(RankPatternField, Config.Path, $"it gives '{Target.Path}' the rank {Rank} and '{source.Target.Path}' {source.Rank}, but ensure_weight_tying lets them share their parameters. Give both one rank.");
            Create(NameOfA, Transposed(source.B), trainable);
            Create(NameOfB, Transposed(source.A), trainable);

            // As in PEFT, the layer that comes last says how both begin.
            using (a) A.copy_(a);
            using (b) B.copy_(b);
            return;
        }

        Create(NameOfA, a, trainable);
        Create(NameOfB, b, trainable);
    }

    /// <summary>As in PEFT, a layer that is tied to the embedding's has Parameters of its own on the same memory, transposed: each gets its own gradient and its own step.</summary>
    public override Parameter Parameter(AdapterParameterName name)
    {
        var parameter = base.Parameter(name);
        if (TiedTo is not LoraLayer source) return parameter;
        var shared = name == NameOfA ? source.B : source.A;
        if (NativeTensor.Data(parameter) == NativeTensor.Data(shared)) return parameter;

        // Module.to copied both.
        using var noGrad = no_grad();
        using var view = Transposed(shared);
        parameter.set_(view);
        return parameter;
    }

    /// <summary>Sets A₀ and B₀; before the parameters are created, these start from them instead of from a decomposition of the weight.</summary>
    public void SetInitial(Tensor a, Tensor b)
    {
        SetBuffer(InitialFactorA, a);
        SetBuffer(InitialFactorB, b);
    }

    public override void MergeInto(Tensor weight, AdapterValues values) => AddChange(weight, values, Scale);

    public override void UnmergeFrom(Tensor weight, AdapterValues values) => AddChange(weight, values, -Scale);

    /// <summary>Of a PiSSA adapter B A − B₀ A₀ = [B, −B₀] [A; A₀] (PEFT: <c>LoraModel.subtract_mutated_init</c>), which has twice the rank.</summary>
    public override (Tensor A, Tensor B)? LoraFactors(AdapterValues values)
    {
        using var scope = NewDisposeScope();
        var (a, b) = (values[NameOfA.Kind], values[NameOfB.Kind]);
        var (wholeA, wholeB) = IsPissa ? (cat([a, values[InitialFactorA.Kind]], 0), cat([b, values[InitialFactorB.Kind].neg()], 1)) : (a.alias(), b);
        return (wholeA.MoveToOuterDisposeScope(), wholeB.mul(Scalars.Of(Scale)).MoveToOuterDisposeScope());
    }

    internal override Tensor ToFileWeight(Tensor weight) => IsPissa ? AddInitial(weight, -Scale) : weight;

    internal override Tensor FromFileWeight(Tensor weight) => IsPissa ? AddInitial(weight, Scale) : weight;

    /// <summary>weight += scale · B A, or scale · (B A − B₀ A₀).</summary>
    protected void AddChange(Tensor weight, AdapterValues values, double scale)
    {
        using var scope = NewDisposeScope();
        var (a, b) = (values[NameOfA.Kind], values[NameOfB.Kind]);
        if (!IsPissa)
        {
            AddProduct(weight, a, b, scale);
            return;
        }

        // (B − B₀) A + B₀ (A − A₀): what is still as it started adds nothing, to the bit.
        var (initialA, initialB) = (values[InitialFactorA.Kind], values[InitialFactorB.Kind]);
        AddProduct(weight, a, b - initialB, scale);
        AddProduct(weight, a - initialA, initialB, scale);
    }

    /// <summary>weight += scale · B A.</summary>
    protected static void AddProduct(Tensor weight, Tensor a, Tensor b, double scale)
    {
        using var scaled = b.mul(Scalars.Of(scale));
        weight.addmm_(scaled, a);
    }

    /// <summary>The values that A and B start with.</summary>
    protected virtual (Tensor A, Tensor B) Initial(Device device)
    {
        var initialization = Config.InitLoraWeights;
        if (IsPissa)
        {
            if (FindBuffer(InitialFactorA) is null || FindBuffer(InitialFactorB) is null)
            {
                using var scope = NewDisposeScope();
                var (first, second) = Pissa.Decompose(Target.Base.Weight, Rank, Scale, initialization.Iterations);
                SetInitial(first, second);
            }

            return (InitialA.clone(), InitialB.clone());
        }

        var a = empty(Rank, Target.InFeatures, dtype: ScalarType.Float32, device: device);
        var b = zeros(Target.OutFeatures, Rank, dtype: ScalarType.Float32, device: device);
        if (initialization == LoraInitialization.Gaussian) return (nn.init.normal_(a, 0, 1.0 / Rank), b);

        // As nn.Linear starts: uniform up to 1/√in.
        nn.init.kaiming_uniform_(a, a: Math.Sqrt(5));
        return (a, initialization == LoraInitialization.Random ? nn.init.kaiming_uniform_(b, a: Math.Sqrt(5)) : b);
    }

    /// <summary>A copy of <paramref name="weight"/> with scale · B₀ A₀ added, rounded once.</summary>
    private Tensor AddInitial(Tensor weight, double scale)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var full = weight.to(ShardOperations.Accumulator(weight.dtype), copy: true);
        AddProduct(full, InitialA.to(full.dtype, full.device), InitialB.to(full.dtype, full.device), scale);
        return full.to(weight.dtype).MoveToOuterDisposeScope();
    }

    private static Tensor Transposed(Tensor factor)
    {
        using var detached = factor.detach();
        return detached.t();
    }
}
