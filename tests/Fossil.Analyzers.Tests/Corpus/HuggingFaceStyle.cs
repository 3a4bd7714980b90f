using static TorchSharp.torch.nn.functional;
using System.Text.Json; using System.Text.Json.Serialization;
namespace HfStyle
{
    public class PretrainedConfig
    {
        [JsonPropertyName("hidden_size")] public int hidden_size { get; set; } = 4096;
        public int intermediate_size { get; set; } = 11008;
        public int num_hidden_layers { get; set; } = 32;
        public int num_attention_heads { get; set; } = 32;
        public int? num_key_value_heads { get; set; }
        public int? head_dim { get; set; }
        public double rms_norm_eps { get; set; } = 1e-6;
        public int vocab_size { get; set; } = 32000;
        public bool attention_bias { get; set; }
        public Dictionary<string, object>? rope_scaling { get; set; }
        [JsonIgnore] public int HeadDim => head_dim ?? hidden_size / num_attention_heads;
        [JsonIgnore] public int KvHeads => num_key_value_heads ?? num_attention_heads;
        public static PretrainedConfig FromFile(string path) => JsonSerializer.Deserialize<PretrainedConfig>(File.ReadAllText(path))!;
        public void Validate() { if (hidden_size % num_attention_heads != 0 && head_dim is null) throw new InvalidDataException(); }
    }
    public static class AutoConfig
    {
        private static readonly IReadOnlyDictionary<string, Func<PretrainedConfig>> Known = new Dictionary<string, Func<PretrainedConfig>>(StringComparer.OrdinalIgnoreCase)
        {
            ["llama-2-7b"] = () => new(),
            ["llama-3-8b"] = () => new() { intermediate_size = 14336, num_key_value_heads = 8, vocab_size = 128256 },
            ["smollm2-135m"] = () => new() { hidden_size = 576, intermediate_size = 1536, num_hidden_layers = 30, num_attention_heads = 9, num_key_value_heads = 3 },
            ["qwen3-0.6b"] = () => new() { hidden_size = 1024, intermediate_size = 3072, num_attention_heads = 16, num_key_value_heads = 8, head_dim = 128 },
            ["toy"] = () => new() { hidden_size = 60, intermediate_size = 100, num_attention_heads = 3 },
        };
        public static PretrainedConfig For(string id) => Known.TryGetValue(id, out var make) ? make() : PretrainedConfig.FromFile(Path.Combine(id, "config.json"));
    }
    public sealed class RMSNorm : Module<Tensor, Tensor>
    {
        private readonly Parameter weight; private readonly double eps;
        public RMSNorm(int dim, double eps = 1e-6) : base("norm") { weight = Parameter(ones(dim)); this.eps = eps; RegisterComponents(); }
        public override Tensor forward(Tensor x) => x * (x.pow(2).mean([-1], true) + eps).rsqrt() * weight;
    }
    [FossilAdapt("q_proj", "k_proj", "v_proj", "o_proj", ShardSize = 64)]
    public sealed partial class Attention : Module<Tensor, Tensor?, Tensor>
    {
        private readonly Linear q_proj, k_proj, v_proj, o_proj; private readonly PretrainedConfig config; private readonly int layer;
        public Attention(PretrainedConfig config, int layer) : base($"self_attn")
        {
            (this.config, this.layer) = (config, layer);
            int h = config.hidden_size, d = config.HeadDim;
            q_proj = Proj(h, config.num_attention_heads * d); k_proj = Proj(h, config.KvHeads * d); v_proj = Proj(h, config.KvHeads * d);
            o_proj = Linear(config.num_attention_heads * d, h, hasBias: false);
            RegisterComponents();
            Linear Proj(int i, int o) => Linear(i, o, hasBias: config.attention_bias);
        }
        public override Tensor forward(Tensor x, Tensor? mask)
        {
            var s = x.shape[..2];
            Tensor Split(Linear p, int n) { var t = p.forward(x); return t.view([.. s, n, config.HeadDim]).transpose(1, 2); }
            var q = Split(q_proj, config.num_attention_heads); var k = Split(k_proj, config.KvHeads); var v = Split(v_proj, config.KvHeads);
            var rep = config.num_attention_heads / config.KvHeads;
            if (rep > 1) (k, v) = (k.repeat_interleave(rep, 1), v.repeat_interleave(rep, 1));
            return o_proj.forward(scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2));
        }
    }
    [FossilAdapt("gate_proj", "up_proj", ShardSize = 32)]
    [FossilAdapt("down_proj", ShardSize = 64, Variant = FossilVariant.Mini, MiniSize = 8)]
    public sealed partial class Mlp(PretrainedConfig config) : Module<Tensor, Tensor>("mlp")
    {
        private readonly Linear gate_proj = Linear(config.hidden_size, config.intermediate_size, false), up_proj = Linear(config.hidden_size, config.intermediate_size, false);
        private readonly Linear down_proj = Linear(config.intermediate_size, config.hidden_size, false);
        public override Tensor forward(Tensor x) => down_proj.forward(silu(gate_proj.forward(x)) * up_proj.forward(x));
    }
    public sealed class Layer : Module<Tensor, Tensor?, Tensor>
    {
        public readonly Attention self_attn; public readonly Mlp mlp; public readonly RMSNorm input_layernorm, post_attention_layernorm;
        public Layer(PretrainedConfig c, int i) : base("layer")
        {
            self_attn = new(c, i); mlp = new(c); input_layernorm = new(c.hidden_size, c.rms_norm_eps); post_attention_layernorm = new(c.hidden_size, c.rms_norm_eps);
            RegisterComponents();
        }
        public override Tensor forward(Tensor x, Tensor? mask) { x = x + self_attn.forward(input_layernorm.forward(x), mask); return x + mlp.forward(post_attention_layernorm.forward(x)); }
    }
    public sealed class Model : Module<Tensor, Tensor>
    {
        public readonly ModuleList<Layer> layers = new(); public readonly Embedding embed_tokens; public readonly RMSNorm norm; public readonly Linear lm_head;
        public PretrainedConfig Config { get; }
        public Model(PretrainedConfig c) : base("model")
        {
            Config = c; c.Validate();
            embed_tokens = Embedding(c.vocab_size, c.hidden_size);
            for (var i = 0; i < c.num_hidden_layers; i++) layers.Add(new Layer(c, i));
            norm = new RMSNorm(c.hidden_size); lm_head = Linear(c.hidden_size, c.vocab_size, hasBias: false);
            RegisterComponents();
        }
        public override Tensor forward(Tensor ids) { var x = embed_tokens.forward(ids); foreach (var l in layers) x = l.forward(x, null); return lm_head.forward(norm.forward(x)); }
        public static Model FromPretrained(string id, Device? device = null) { var m = new Model(AutoConfig.For(id)); if (device is not null) m.to(device); return m; }
        public static Model Smol() => new(AutoConfig.For("smollm2-135m"));
        public static Model Llama3() => new(AutoConfig.For("LLAMA-3-8B"));
        public static Model Toy() => new(AutoConfig.For("toy")); //! FOSSIL005 //! FOSSIL017 //! FOSSIL020
        public static Model Tiny() => new(new() { hidden_size = 100, num_attention_heads = 4, intermediate_size = 256 }); //! FOSSIL005 //! FOSSIL017
        public static Model Tiny2() { var c = new PretrainedConfig(); c.hidden_size = 96; c.num_attention_heads = 6; return new Model(c); } //! FOSSIL005
        public static Model Custom(Action<PretrainedConfig> configure) { var c = new PretrainedConfig { hidden_size = 100 }; configure(c); return new Model(c); }
        public static Model C2() => Custom(c => c.hidden_size = 128);
        public static Model C3() => Custom(c => { c.hidden_size = 90; c.num_attention_heads = 9; }); //! FOSSIL005 //! FOSSIL017
        public static Model C4() => Custom(_ => { }); // Validate throws
        public static Model Env() { var c = new PretrainedConfig(); if (Environment.GetEnvironmentVariable("HIDDEN") is { } h && int.TryParse(h, out var n)) c.hidden_size = n; return new Model(c); }
    }
    public class TrainerArgs { public string Output = "out"; public int Epochs = 1; public bool Bf16 = true; public bool MergeAtEnd; public int SaveSteps = 100; }
    public abstract class TrainerBase(Model model, TrainerArgs args)
    {
        protected Model Model { get; } = model; protected TrainerArgs Args { get; } = args;
        protected abstract optim.Optimizer CreateOptimizer();
        public void Train(IEnumerable<Tensor> data)
        {
            using var opt = CreateOptimizer();
            var step = 0;
            for (var e = 0; e < Args.Epochs; e++)
                foreach (var ids in data)
                {
                    using var d = NewDisposeScope();
                    opt.zero_grad(); ComputeLoss(ids).backward(); opt.step();
                    if (++step % Args.SaveSteps == 0) Save($"{Args.Output}/checkpoint-{step}");
                }
            Save(Args.Output);
        }
        protected virtual Tensor ComputeLoss(Tensor ids) => cross_entropy(Model.forward(ids[.., ..^1]).flatten(0, 1), ids[.., 1..].flatten());
        protected abstract void Save(string folder);
    }
    public sealed class FullTrainer(Model m, TrainerArgs a) : TrainerBase(m, a)
    {
        protected override optim.Optimizer CreateOptimizer() => optim.AdamW(Model.parameters(), 2e-5);
        protected override void Save(string folder) { Directory.CreateDirectory(folder); Model.save(Path.Combine(folder, "model.dat")); }
    }
    public sealed class AdapterTrainer : TrainerBase, IDisposable
    {
        private readonly AdaptedModel adapted;
        public AdapterTrainer(Model m, TrainerArgs a, AdapterConfig? c = null) : base(a.Bf16 ? m.to(ScalarType.BFloat16) : m, a) => adapted = c is null ? m.AttachAdapters() : m.AttachAdapters(c);
        protected override optim.Optimizer CreateOptimizer() => adapted.CreateOptimizer();
        protected override void Save(string folder) { adapted.SavePretrained(folder); if (Args.MergeAtEnd && folder == Args.Output) { adapted.Merge(); Model.save(Path.Combine(folder, "merged.dat")); adapted.Unmerge(); } }
        public void Dispose() => adapted.Dispose();
    }
}
