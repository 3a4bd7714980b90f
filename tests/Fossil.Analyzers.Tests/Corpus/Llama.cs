public record LlamaConfig
{
    public required int HiddenSize { get; init; }
    public int IntermediateSize { get; init; }
    public int NumLayers { get; init; } = 32;
    public int NumHeads { get; init; } = 32;
    public int? NumKvHeads { get; init; }
    public int KvHeads => NumKvHeads ?? NumHeads;
    public int HeadDim => HiddenSize / NumHeads;
    public static LlamaConfig Llama2_7B { get; } = new()
    {
        HiddenSize = 4096,
        IntermediateSize = 11008
    };
    public static LlamaConfig Llama3_8B => Llama2_7B with
    {
        IntermediateSize = 14336,
        NumKvHeads = 8
    };

    public static readonly LlamaConfig Odd = Llama2_7B with
    {
        IntermediateSize = 11000
    };
    public static LlamaConfig FromName(string name) => name switch
    {
        "llama2-7b" => Llama2_7B,
        "llama3-8b" => Llama3_8B,
        "odd" => Odd,
        "tiny" => new()
        {
            HiddenSize = 288,
            IntermediateSize = 768,
            NumHeads = 6,
            NumLayers = 6
        },
        _ => throw new ArgumentException($"unknown model {name}", nameof(name))};
}

[FossilAdapt(nameof(q_proj), nameof(k_proj), nameof(v_proj), nameof(o_proj), ShardSize = 64)]
public sealed partial class LlamaAttention : Module<Tensor, Tensor>
{
    readonly Linear q_proj, k_proj, v_proj, o_proj;
    readonly int heads, kvHeads, headDim;
    public LlamaAttention(LlamaConfig config, int layer) : base(nameof(LlamaAttention))
    {
        (heads, kvHeads, headDim) = (config.NumHeads, config.KvHeads, config.HeadDim);
        q_proj = Linear(config.HiddenSize, heads * headDim, hasBias: false);
        k_proj = Linear(config.HiddenSize, kvHeads * headDim, hasBias: false);
        v_proj = Linear(config.HiddenSize, kvHeads * headDim, hasBias: false);
        o_proj = Linear(heads * headDim, config.HiddenSize, hasBias: false);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => o_proj.forward(q_proj.forward(x) + k_proj.forward(x) + v_proj.forward(x));
}

[FossilAdapt("gate_proj", "up_proj", "down_proj", ShardSize = 128, Variant = FossilVariant.Bat)]
public sealed partial class LlamaMlp(LlamaConfig config) : Module<Tensor, Tensor>("mlp")
{
    readonly Linear gate_proj = Linear(config.HiddenSize, config.IntermediateSize, false), up_proj = Linear(config.HiddenSize, config.IntermediateSize, false), down_proj = Linear(config.IntermediateSize, config.HiddenSize, false);
    public override Tensor forward(Tensor x) => down_proj.forward(functional.silu(gate_proj.forward(x)) * up_proj.forward(x));
    public LlamaMlp Init()
    {
        RegisterComponents();
        return this;
    }
}

public sealed class LlamaLayer : Module<Tensor, Tensor>
{
    readonly LlamaAttention self_attn;
    readonly LlamaMlp mlp;
    public LlamaLayer(LlamaConfig config, int index) : base($"layer{index}")
    {
        self_attn = new(config, index);
        mlp = new LlamaMlp(config).Init();
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => mlp.forward(self_attn.forward(x));
}

public sealed class Llama : Module<Tensor, Tensor>
{
    readonly ModuleList<LlamaLayer> layers;
    public Llama(LlamaConfig config) : base("llama")
    {
        layers = new ModuleList<LlamaLayer>([..Enumerable.Range(0, config.NumLayers).Select(i => new LlamaLayer(config, i))]);
        RegisterComponents();
    }

    public static Llama FromPretrained(string name, string? folder = null)
    {
        var model = new Llama(LlamaConfig.FromName(name));
        if (folder is not null)
            model.load(folder);
        return model;
    }

    public override Tensor forward(Tensor x)
    {
        foreach (var l in layers)
            x = l.forward(x);
        return x;
    }
}

static class P
{
    static void Main(string[] args)
    {
        _ = new Llama(LlamaConfig.Llama2_7B);
        _ = new Llama(LlamaConfig.Llama3_8B);
        _ = new Llama(LlamaConfig.Odd); //! FOSSIL005
        _ = Llama.FromPretrained("llama3-8b");
        _ = Llama.FromPretrained(args[0]);
        _ = Llama.FromPretrained("odd"); //! FOSSIL005
        _ = Llama.FromPretrained("tiny", "x"); //! FOSSIL005
        _ = new Llama(LlamaConfig.Llama2_7B with { HiddenSize = 4000 }); //! FOSSIL005
        var cfg = LlamaConfig.Llama2_7B with
        {
            NumHeads = 64
        };
        _ = new Llama(cfg);
    }
}
