using static TorchSharp.torch.nn.functional;
using Nn = TorchSharp.torch.nn;
using L = TorchSharp.Modules.Linear;
using System.Text.Json;

// A whole program of top-level statements: options from the command line, pretraining or adapters.

var opts = Args.Parse(args);
random.manual_seed(opts.Seed);
var device = cuda.is_available() && !opts.Cpu ? CUDA : CPU;
var dtype = device.type == DeviceType.CUDA ? ScalarType.BFloat16 : ScalarType.Float32;
GptConfig cfg = opts.Preset switch
{
    "gpt2" => GptConfig.Gpt2,
    "gpt2-medium" => GptConfig.Gpt2 with { NLayer = 24, NHead = 16, NEmbd = 1024 },
    "gpt2-xl" => GptConfig.Gpt2 with { NLayer = 48, NHead = 25, NEmbd = 1600 },
    var file when File.Exists(file) => JsonSerializer.Deserialize<GptConfig>(File.ReadAllText(file))!,
    _ => throw new ArgumentException($"unknown preset {opts.Preset}"),
};
using var model = new Gpt(cfg);
if (opts.Checkpoint is { Length: > 0 } ckpt) model.load(ckpt);
model.to(device, dtype);
Console.WriteLine($"{model.parameters().Sum(p => p.numel()) / 1e6:f1}M parameters");
if (opts.Mode == "pretrain")
{
    Pretrain();
    return 0;
}
using var adapted = Directory.Exists(opts.Adapter) ? model.LoadPretrained(opts.Adapter, isTrainable: true) : model.AttachAdapters();
adapted.PrintTrainableParameters();
using var optimizer = adapted.CreateOptimizer(learningRate: opts.Lr, weightDecay: 0.01);
var scheduler = optim.lr_scheduler.LambdaLR(optimizer, step => Math.Min(1.0, (step + 1) / 100.0));
var best = double.PositiveInfinity;
for (var step = 0; step < opts.Steps; step++)
{
    using (NewDisposeScope())
    {
        model.train();
        optimizer.zero_grad();
        var total = 0f;
        for (var micro = 0; micro < opts.Accumulate; micro++)
        {
            var (x, y) = GetBatch("train");
            var loss = cross_entropy(model.forward(x).view(-1, cfg.VocabSize), y.view(-1)) / opts.Accumulate;
            total += loss.item<float>();
            loss.backward();
        }
        Nn.utils.clip_grad_norm_(adapted.TrainableParameters().Select(p => p.Parameter), 1.0);
        optimizer.step();
        scheduler.step();
        if (step % opts.EvalEvery == 0)
        {
            var val = Evaluate(20);
            Console.WriteLine($"{step}: train {total:f3} val {val:f3}");
            if (val < best) { best = val; adapted.SavePretrained(opts.Adapter); }
        }
    }
}
model.eval();
adapted.Merge();
Sample(model, 100);
if (opts.Export is not null) model.save(opts.Export);
return 0;

double Evaluate(int batches)
{
    model.eval();
    using var _ = no_grad();
    return Enumerable.Range(0, batches).Average(_ => { var (x, y) = GetBatch("val"); return cross_entropy(model.forward(x).view(-1, cfg.VocabSize), y.view(-1)).item<float>(); });
}
(Tensor, Tensor) GetBatch(string split) => (randint(0, cfg.VocabSize, [opts.Batch, cfg.BlockSize], device: device), randint(0, cfg.VocabSize, [opts.Batch, cfg.BlockSize], device: device));
void Pretrain()
{
    var decay = model.named_parameters().Where(p => p.parameter.dim() >= 2).Select(p => p.parameter);
    var noDecay = model.named_parameters().Where(p => p.parameter.dim() < 2).Select(p => p.parameter);
    using var adam = optim.AdamW(new[] { new AdamW.ParamGroup(decay) { Options = new() { weight_decay = 0.1 } }, new AdamW.ParamGroup(noDecay) }, opts.Lr);
    for (var i = 0; i < opts.Steps; i++) { adam.zero_grad(); var (x, y) = GetBatch("train"); cross_entropy(model.forward(x).view(-1, cfg.VocabSize), y.view(-1)).backward(); adam.step(); }
    model.save("pretrained.dat");
}
static void Sample(Gpt model, int n)
{
    using var _ = no_grad();
    var idx = zeros(1, 1, ScalarType.Int64);
    for (var i = 0; i < n; i++) { var logits = model.forward(idx)[.., ^1, ..]; idx = cat([idx, multinomial(softmax(logits, -1), 1)], 1); }
}

sealed class Args
{
    public string Preset = "gpt2", Mode = "finetune", Adapter = "adapter"; public string? Checkpoint, Export; public int Seed = 1337, Steps = 1000, Accumulate = 4, EvalEvery = 100, Batch = 8; public double Lr = 3e-4; public bool Cpu;
    public static Args Parse(string[] a)
    {
        var r = new Args();
        foreach (var s in a)
        {
            var kv = s.TrimStart('-').Split('=', 2);
            var f = typeof(Args).GetField(kv[0]) ?? throw new ArgumentException(s);
            f.SetValue(r, Convert.ChangeType(kv.ElementAtOrDefault(1) ?? "true", Nullable.GetUnderlyingType(f.FieldType) ?? f.FieldType));
        }
        return r;
    }
}
public sealed record GptConfig
{
    public static readonly GptConfig Gpt2 = new();
    public int BlockSize { get; init; } = 1024;
    public int VocabSize { get; init; } = 50304;
    public int NLayer { get; init; } = 12;
    public int NHead { get; init; } = 12;
    public int NEmbd { get; init; } = 768;
    public double Dropout { get; init; }
    public bool Bias { get; init; } = true;
}
[FossilAdapt("c_attn", "c_proj")]
public sealed partial class CausalSelfAttention : Nn.Module<Tensor, Tensor>
{
    private readonly L c_attn, c_proj; private readonly Dropout drop; private readonly int nHead, nEmbd;
    public CausalSelfAttention(GptConfig config) : base(nameof(CausalSelfAttention))
    {
        if (config.NEmbd % config.NHead != 0) throw new ArgumentException("n_embd");
        c_attn = Linear(config.NEmbd, 3 * config.NEmbd, hasBias: config.Bias);
        c_proj = Linear(config.NEmbd, config.NEmbd, hasBias: config.Bias);
        drop = Dropout(config.Dropout);
        (nHead, nEmbd) = (config.NHead, config.NEmbd);
        RegisterComponents();
    }
    public override Tensor forward(Tensor x)
    {
        var (B, T, C) = (x.shape[0], x.shape[1], x.shape[2]);
        var qkv = c_attn.forward(x).split([nEmbd, nEmbd, nEmbd], 2);
        var (q, k, v) = (Heads(qkv[0]), Heads(qkv[1]), Heads(qkv[2]));
        var y = scaled_dot_product_attention(q, k, v, is_casual: true).transpose(1, 2).contiguous().view(B, T, C);
        return drop.forward(c_proj.forward(y));
        Tensor Heads(Tensor t) => t.view(B, T, nHead, C / nHead).transpose(1, 2);
    }
}
[FossilAdapt(nameof(c_fc), nameof(c_proj))]
public sealed partial class MLP : Nn.Module<Tensor, Tensor>
{
    private readonly L c_fc, c_proj; private readonly GELU gelu = GELU(); private readonly Dropout dropout;
    public MLP(GptConfig config) : base("mlp")
    {
        c_fc = Linear(config.NEmbd, 4 * config.NEmbd, config.Bias);
        c_proj = Linear(4 * config.NEmbd, config.NEmbd, config.Bias);
        dropout = Dropout(config.Dropout);
        RegisterComponents();
    }
    public override Tensor forward(Tensor x) => dropout.call(c_proj.call(gelu.call(c_fc.call(x))));
}
public sealed class Block : Nn.Module<Tensor, Tensor>
{
    private readonly LayerNorm ln_1, ln_2; private readonly CausalSelfAttention attn; private readonly MLP mlp;
    public Block(GptConfig config) : base("h") { ln_1 = LayerNorm(config.NEmbd); attn = new(config); ln_2 = LayerNorm(config.NEmbd); mlp = new(config); RegisterComponents(); }
    public override Tensor forward(Tensor x) { x = x + attn.call(ln_1.call(x)); return x + mlp.call(ln_2.call(x)); }
}
[FossilAdapt("lm_head", ShardSize = 32)]
public sealed partial class Gpt : Nn.Module<Tensor, Tensor>
{
    private readonly Embedding wte, wpe; private readonly Dropout drop; private readonly ModuleList<Block> h; private readonly LayerNorm ln_f; private readonly L lm_head;
    public Gpt(GptConfig config) : base("transformer")
    {
        wte = Embedding(config.VocabSize, config.NEmbd); wpe = Embedding(config.BlockSize, config.NEmbd); drop = Dropout(config.Dropout);
        h = new ModuleList<Block>([.. Enumerable.Range(0, config.NLayer).Select(_ => new Block(config))]);
        ln_f = LayerNorm(config.NEmbd); lm_head = Linear(config.NEmbd, config.VocabSize, hasBias: false);
        RegisterComponents();
        wte.weight = lm_head.weight;
        foreach (var (name, p) in named_parameters()) if (name.EndsWith("c_proj.weight")) init.normal_(p, 0, 0.02 / Math.Sqrt(2 * config.NLayer));
        _ = apply(m => { switch (m) { case L linear: init.normal_(linear.weight, 0, 0.02); if (linear.bias is { } b) init.zeros_(b); break; case Embedding e: init.normal_(e.weight!, 0, 0.02); break; } });
    }
    public override Tensor forward(Tensor idx)
    {
        var pos = arange(0, idx.shape[1], device: idx.device);
        var x = drop.call(wte.call(idx) + wpe.call(pos));
        foreach (var block in h) x = block.call(x);
        return lm_head.call(ln_f.call(x));
    }
}
