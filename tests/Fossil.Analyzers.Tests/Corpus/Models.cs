using static TorchSharp.torch.nn.functional;
// Realistic models; one is wrong, as 128 channels are not a multiple of heads of 40.
namespace Vit
{
    public sealed record VitConfig { public int Image { get; init; } = 224; public int Patch { get; init; } = 16; public int Dim { get; init; } = 768; public int Depth { get; init; } = 12; public int Heads { get; init; } = 12; public double MlpRatio { get; init; } = 4.0; public int Classes { get; init; } = 1000; public int Patches => (Image / Patch) * (Image / Patch);
        public static VitConfig B16 { get; } = new(); public static VitConfig S16 => B16 with { Dim = 384, Heads = 6 }; public static VitConfig L16 { get; } = new() { Dim = 1024, Depth = 24, Heads = 16 }; public static VitConfig G14 { get; } = new() { Dim = 1664, Depth = 48, Heads = 16, MlpRatio = 8192.0 / 1664 }; }
    [FossilAdapt("qkv", "proj")]
    public partial class Attn : Module<Tensor, Tensor>
    {
        private readonly Linear qkv, proj; private readonly int heads;
        public Attn(int dim, int heads, bool bias = true) : base("attn") { this.heads = heads; qkv = Linear(dim, dim * 3, bias); proj = Linear(dim, dim); RegisterComponents(); }
        public override Tensor forward(Tensor x)
        {
            var (b, n, c) = (x.size(0), x.size(1), x.size(2));
            var parts = qkv.forward(x).reshape(b, n, 3, heads, c / heads).permute(2, 0, 3, 1, 4).unbind(0);
            return proj.forward(scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2).reshape(b, n, c));
        }
    }
    [FossilAdapt("fc1", "fc2", ShardSize = 32)]
    public partial class Mlp(int dim, int hidden, double drop = 0) : Module<Tensor, Tensor>("mlp")
    {
        private readonly Linear fc1 = Linear(dim, hidden), fc2 = Linear(hidden, dim); private readonly Dropout dropout = Dropout(drop);
        public override Tensor forward(Tensor x) => dropout.forward(fc2.forward(dropout.forward(gelu(fc1.forward(x)))));
    }
    public class Blk : Module<Tensor, Tensor>
    {
        readonly Attn attn; readonly Mlp mlp; readonly LayerNorm n1, n2;
        public Blk(VitConfig c) : base("blk") { attn = new(c.Dim, c.Heads); mlp = new(c.Dim, (int)(c.Dim * c.MlpRatio)); n1 = LayerNorm(c.Dim); n2 = LayerNorm(c.Dim); RegisterComponents(); }
        public override Tensor forward(Tensor x) { x += attn.forward(n1.forward(x)); x += mlp.forward(n2.forward(x)); return x; }
    }
    public class VisionTransformer : Module<Tensor, Tensor>
    {
        readonly Conv2d patch; readonly Parameter cls, pos; readonly Sequential blocks; readonly Linear head;
        public VisionTransformer(VitConfig c) : base("vit")
        {
            patch = Conv2d(3, c.Dim, kernel_size: c.Patch, stride: c.Patch); cls = Parameter(zeros(1, 1, c.Dim)); pos = Parameter(zeros(1, c.Patches + 1, c.Dim));
            blocks = Sequential(Enumerable.Range(0, c.Depth).Select(i => ($"block{i}", (Module<Tensor, Tensor>)new Blk(c))).ToArray());
            head = Linear(c.Dim, c.Classes); RegisterComponents();
        }
        public override Tensor forward(Tensor x) => head.forward(blocks.forward(cat([cls.expand(x.size(0), -1, -1), patch.forward(x).flatten(2).transpose(1, 2)], 1) + pos)[.., 0]);
        public static VisionTransformer Create(string size) => new(size switch { "b" => VitConfig.B16, "s" => VitConfig.S16, "l" => VitConfig.L16, "g" => VitConfig.G14, _ => throw new ArgumentException(size) });
        static readonly VisionTransformer Default = new(VitConfig.B16), Small = new(VitConfig.S16), Large = new(VitConfig.L16), Giant = new(VitConfig.G14);
    }
}
namespace Bert
{
    [FossilAdapt("Query", "Value")]
    [FossilAdapt("Dense", ShardSize = 16, Variant = FossilVariant.Bat)]
    public partial class SelfAttention : Module<Tensor, Tensor?, Tensor>
    {
        protected Linear Query { get; } protected Linear Key { get; } protected Linear Value { get; } protected Linear Dense { get; }
        private readonly LayerNorm layerNorm; private readonly int heads, size;
        public SelfAttention(int hidden = 768, int heads = 12) : base(nameof(SelfAttention))
        {
            (this.heads, size) = (heads, Math.DivRem(hidden, heads, out var rest)); if (rest != 0) throw new ArgumentException(null, nameof(heads));
            Query = Linear(hidden, hidden); Key = Linear(hidden, hidden); Value = Linear(hidden, hidden); Dense = Linear(hidden, hidden); layerNorm = LayerNorm(hidden, 1e-12);
            register_module(nameof(Query), Query); register_module(nameof(Key), Key); register_module(nameof(Value), Value); register_module(nameof(Dense), Dense); register_module("LayerNorm", layerNorm);
        }
        public override Tensor forward(Tensor x, Tensor? mask) => layerNorm.forward(x + Dense.forward(Merge(scaled_dot_product_attention(Split(Query, x), Split(Key, x), Split(Value, x), mask))));
        private Tensor Split(Module<Tensor, Tensor> layer, Tensor x) => layer.forward(x).view(x.size(0), -1, heads, size).transpose(1, 2);
        private static Tensor Merge(Tensor x) => x.transpose(1, 2).flatten(2);
    }
    public class BertLayer : Module<Tensor, Tensor?, Tensor>
    {
        public readonly SelfAttention attention; public BertLayer(int h) : base("l") { attention = new(h, h / 64); RegisterComponents(); }
        public override Tensor forward(Tensor x, Tensor? m) => attention.forward(x, m);
    }
    public static class Zoo { public static BertLayer Base() => new(768); public static BertLayer Large() => new(1024); public static BertLayer[] Stack(int n) => Enumerable.Range(0, n).Select(_ => new BertLayer(768)).ToArray(); }
}
namespace Diffusion
{
    public enum Act { SiLU, GELU }
    [FossilAdapt("to_q", "to_k", "to_v", "to_out", ShardSize = 32)]
    public partial class CrossAttention : Module<Tensor, Tensor?, Tensor>
    {
        readonly Linear to_q, to_k, to_v, to_out; readonly int heads;
        public CrossAttention(int queryDim, int? contextDim = null, int heads = 8, int dimHead = 64) : base("ca")
        {
            var inner = dimHead * heads; this.heads = heads;
            to_q = Linear(queryDim, inner, hasBias: false); to_k = Linear(contextDim ?? queryDim, inner, hasBias: false); to_v = Linear(contextDim ?? queryDim, inner, hasBias: false); to_out = Linear(inner, queryDim);
            RegisterComponents();
        }
        public override Tensor forward(Tensor x, Tensor? context = null) { context ??= x; var (q, k, v) = (H(to_q.forward(x)), H(to_k.forward(context)), H(to_v.forward(context))); return to_out.forward(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)); Tensor H(Tensor t) => t.unflatten(2, [heads, -1]).transpose(1, 2); }
    }
    [FossilAdapt("time", ShardSize = 64)]
    public partial class ResBlock : Module<Tensor, Tensor, Tensor>
    {
        readonly Conv2d c1, c2; readonly Linear time; readonly Module<Tensor, Tensor> skip, act;
        public ResBlock(int i, int o, int temb = 1280, Act a = Act.SiLU) : base("rb") { c1 = Conv2d(i, o, 3, padding: 1); c2 = Conv2d(o, o, 3, padding: 1); time = Linear(temb, o); skip = i == o ? Identity() : Conv2d(i, o, 1); act = a is Act.SiLU ? SiLU() : GELU(); RegisterComponents(); }
        public override Tensor forward(Tensor x, Tensor t) => skip.forward(x) + c2.forward(act.forward(c1.forward(x) + time.forward(t).unsqueeze(-1).unsqueeze(-1)));
    }
    public class UNet : Module<Tensor, Tensor, Tensor, Tensor>
    {
        readonly ModuleList<ResBlock> down = new(), up = new(); readonly ModuleDict<CrossAttention> attn = new();
        public UNet(int ch = 320, params int[] mult) : base("unet")
        {
            if (mult.Length == 0) mult = [1, 2, 4, 4];
            var channels = ch; var skips = new Stack<int>();
            for (var level = 0; level < mult.Length; level++)
                for (var n = 0; n < 2; n++)
                {
                    down.Add(new ResBlock(channels, ch * mult[level], ch * 4)); channels = ch * mult[level]; skips.Push(channels);
                    if (level < 3) attn.Add($"down_{level}_{n}", new CrossAttention(channels, 768, heads: channels / 40, dimHead: 40));
                }
            foreach (var m in mult.Reverse()) for (var n = 0; n < 2; n++) { up.Add(new ResBlock(channels + skips.Pop(), ch * m, ch * 4)); channels = ch * m; }
            RegisterComponents();
        }
        public override Tensor forward(Tensor x, Tensor t, Tensor c) { foreach (var d in down) x = d.forward(x, t); foreach (var u in up) x = u.forward(x, t); return x; }
        public static UNet Sd15() => new();
        public static UNet Small() => new(128, 1, 2, 2); //! FOSSIL005
    }
}
namespace MoE
{
    [FossilAdapt("w1", "w2", "w3", ShardSize = 64)]
    public partial class Expert : Module<Tensor, Tensor>
    {
        public readonly Linear w1, w2, w3;
        public Expert(long dim, long hidden, int multipleOf = 256, double? mult = null) : base("e") { hidden = 2 * hidden / 3; if (mult is { } m) hidden = (long)(m * hidden); hidden = multipleOf * ((hidden + multipleOf - 1) / multipleOf); w1 = Linear(dim, hidden, false); w2 = Linear(hidden, dim, false); w3 = Linear(dim, hidden, false); RegisterComponents(); }
        public override Tensor forward(Tensor x) => w2.forward(silu(w1.forward(x)) * w3.forward(x));
    }
    [FossilAdapt("gate")]
    public partial class MoeLayer : Module<Tensor, Tensor>
    {
        readonly Linear gate; readonly ModuleList<Expert> experts; readonly int k;
        public MoeLayer(long dim, int n, int k, Func<int, Expert> make) : base("moe") { gate = Linear(dim, n, false); experts = new([.. Enumerable.Range(0, n).Select(make)]); this.k = k; RegisterComponents(); }
        public override Tensor forward(Tensor x)
        {
            var flat = x.view(-1, x.shape[^1]); var (w, idx) = gate.forward(flat).topk(k); var y = zeros_like(flat);
            foreach (var (i, e) in experts.Index()) { var rows = (idx == i).nonzero(); if (rows.numel() > 0) y[rows[.., 0]] += w[rows[.., 0], rows[.., 1]].unsqueeze(1) * e.forward(flat[rows[.., 0]]); }
            return y.view(x.shape);
        }
        public static MoeLayer Mixtral() => new(4096, 8, 2, _ => new Expert(4096, 4 * 4096, mult: 1.3125));
        public static MoeLayer Tiny(long d) => new(d, 4, 1, i => new Expert(d, d << 2));
    }
}
namespace Rnn
{
    public class Ssm : Module<Tensor, Tensor>
    {
        readonly MambaBlock b; public Ssm() : base("s") { b = new MambaBlock(dModel: 768); RegisterComponents(); } public override Tensor forward(Tensor x) => b.forward(x);
    }
    [FossilAdapt("in_proj", "out_proj")]
    [FossilAdapt("x_proj", "dt_proj", ShardSize = 16)]
    public partial class MambaBlock : Module<Tensor, Tensor>
    {
        readonly Linear in_proj, x_proj, dt_proj, out_proj; readonly Parameter A_log, D;
        public MambaBlock(int dModel, int dState = 16, int expand = 2, int? dtRank = null) : base("mamba")
        {
            var dInner = expand * dModel; var rank = dtRank ?? (int)Math.Ceiling(dModel / 16.0);
            in_proj = Linear(dModel, dInner * 2, hasBias: false); x_proj = Linear(dInner, rank + dState * 2, hasBias: false); dt_proj = Linear(rank, dInner); out_proj = Linear(dInner, dModel, hasBias: false);
            A_log = Parameter(arange(1, dState + 1).repeat(dInner, 1).log()); D = Parameter(ones(dInner)); RegisterComponents();
        }
        public override Tensor forward(Tensor x) { var xz = in_proj.forward(x).chunk(2, -1); var d = x_proj.forward(silu(xz[0])); return out_proj.forward(softplus(dt_proj.forward(d[.., .., ..(int)dt_proj.weight!.shape[1]])) * silu(xz[1])); }
    }
}
