using Fossil.Adapters;
using Fossil.CompilerServices;
using Fossil.Concurrency;
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

    private const string RankPatternField = "rank_pattern";
    private const string AlphaPatternField = "alpha_pattern";

    private static readonly AdapterParameterName[] Factors = [FactorA, FactorB];

    // What PiSSA took out of the base weight.
    private (Tensor A, Tensor B)? taken;

    public LoraLayer(AdaptedTarget target, string adapterName, LoraConfig config)
        : base(target, adapterName)
    {
        Config = config;
        var (rankPattern, alphaPattern) = (TargetSelector.FindPattern(RankPatternField, config.Path, config.RankPattern, target.Path), TargetSelector.FindPattern(AlphaPatternField, config.Path, config.AlphaPattern, target.Path));
        Rank = rankPattern is null ? config.Rank : config.RankPattern[rankPattern];
        var alpha = alphaPattern is null ? config.Alpha : config.AlphaPattern[alphaPattern];
        Scale = config.UseRslora ? alpha / Math.Sqrt(Rank) : alpha / Rank;
        if (!config.InitLoraWeights.IsPissa || target.IsEmbedding) return;
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

    public override bool ChangesBase => Config.InitLoraWeights.IsPissa;

    /// <summary>The factors that PiSSA took out of the base weight, which the adapter started from; null for other initialisations.</summary>
    public (Tensor A, Tensor B)? Taken => taken;

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

    public override void MergeInto(Tensor weight, AdapterValues values) => AddProduct(weight, values, Scale);

    public override void UnmergeFrom(Tensor weight, AdapterValues values) => AddProduct(weight, values, -Scale);

    public override (Tensor A, Tensor B)? LoraFactors(AdapterValues values) => (values[NameOfA.Kind].alias(), values[NameOfB.Kind].mul(Scalars.Of(Scale)));

    public override void RestoreBase()
    {
        if (taken is not { } factors) return;
        Pissa.PutBack(Target.Weight, factors.A, factors.B, Scale);
        factors.A.Dispose();
        factors.B.Dispose();
        taken = null;
    }

    /// <summary>weight += scale · B A.</summary>
    protected static void AddProduct(Tensor weight, AdapterValues values, double scale) => AddProduct(weight, values[FactorA.Kind], values[FactorB.Kind], scale);

    /// <summary>weight += scale · B A.</summary>
    protected static void AddProduct(Tensor weight, Tensor a, Tensor b, double scale)
    {
        using var scaled = b.mul(Scalars.Of(scale));
        weight.addmm_(scaled, a);
    }

    /// <summary>The values that A and B start with; PiSSA takes them out of the base weight.</summary>
    protected virtual (Tensor A, Tensor B) Initial(Device device)
    {
        var initialization = Config.InitLoraWeights;
        if (initialization.IsPissa)
        {
            var (first, second) = Pissa.TakeOut(Target.Weight, Rank, Scale, initialization.Iterations);
            taken = (first.clone().DetachFromDisposeScope(), second.clone().DetachFromDisposeScope());
            return (first, second);
        }

        var a = empty(Rank, Target.InFeatures, dtype: ScalarType.Float32, device: device);
        var b = zeros(Target.OutFeatures, Rank, dtype: ScalarType.Float32, device: device);
        if (initialization == LoraInitialization.Gaussian) return (nn.init.normal_(a, 0, 1.0 / Rank), b);

        // As nn.Linear starts: uniform up to 1/√in.
        nn.init.kaiming_uniform_(a, a: Math.Sqrt(5));
        return (a, initialization == LoraInitialization.Random ? nn.init.kaiming_uniform_(b, a: Math.Sqrt(5)) : b);
    }

    private static Tensor Transposed(Tensor factor)
    {
        using var detached = factor.detach();
        return detached.t();
    }
}
