using Fossil.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

/// <summary>
/// The same decoder with an adapter on all seven projections, written with TorchSharp's operations and differentiated by libtorch alone, as transformers and PEFT
/// do it: what this library's memory and roundings are compared with.
/// </summary>
internal sealed class PlainLlama(LlamaForCausalLM source, PlainAdapter adapter)
{
    private readonly LlamaConfig config = source.Config;
    private readonly Dictionary<string, Parameter> weights = source.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
    private readonly Dictionary<string, Parameter[]> adapters = [];

    /// <summary>The adapter's parameters of all projections, named after the projection and numbered.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Attach()
    {
        foreach (var weight in weights.Values) weight.requires_grad_(false);
        foreach (var (name, weight) in weights.Where(entry => Base.Projections.Any(projection => entry.Key.EndsWith(projection + ".weight", StringComparison.Ordinal))))
        {
            adapters[name] = adapter.Create(weight);
        }
        return [.. adapters.SelectMany(entry => entry.Value.Select((parameter, i) => (entry.Key[..^".weight".Length] + "." + i, parameter)))];
    }

    /// <summary>Mean cross-entropy of the next token, ids (batch, tokens).</summary>
    public Tensor Loss(Tensor ids)
    {
        using var scope = NewDisposeScope();
        var x = weights["model.embed_tokens.weight"][ids];
        var (cos, sin) = Rotary(ids.shape[1], x.dtype);
        for (var layer = 0; layer < config.NumHiddenLayers; layer++) x = Layer(x, $"model.layers.{layer}.", cos, sin);
        var hidden = Norm(x, "model.norm.weight");
        var logits = functional.linear(hidden, weights["model.embed_tokens.weight"]).to(float32);
        var last = ids.shape[1] - 1;
        return functional.cross_entropy(logits.narrow(1, 0, last).reshape(-1, config.VocabSize), ids.narrow(1, 1, last).reshape(-1)).MoveToOuterDisposeScope();
    }

    private Tensor Layer(Tensor x, string path, Tensor cos, Tensor sin)
    {
        using var scope = NewDisposeScope();
        x = x + Attention(Norm(x, path + "input_layernorm.weight"), path + "self_attn.", cos, sin);
        var normed = Norm(x, path + "post_attention_layernorm.weight");
        var gated = functional.silu(Project(normed, path + "mlp.gate_proj.weight")) * Project(normed, path + "mlp.up_proj.weight");
        return (x + Project(gated, path + "mlp.down_proj.weight")).MoveToOuterDisposeScope();
    }

    private Tensor Attention(Tensor x, string path, Tensor cos, Tensor sin)
    {
        using var scope = NewDisposeScope();
        Tensor Heads(string name, int heads) => Project(x, path + name).view(x.shape[0], x.shape[1], heads, config.HeadDim).transpose(1, 2);
        Tensor Rotated(Tensor heads) => (heads * cos) + (cat([-heads.narrow(-1, config.HeadDim / 2, config.HeadDim / 2), heads.narrow(-1, 0, config.HeadDim / 2)], -1) * sin);
        Tensor Repeated(Tensor heads) => heads.repeat_interleave(config.NumAttentionHeads / config.NumKeyValueHeads, 1);
        var q = Rotated(Heads("q_proj.weight", config.NumAttentionHeads));
        var k = Rotated(Heads("k_proj.weight", config.NumKeyValueHeads));
        var v = Heads("v_proj.weight", config.NumKeyValueHeads);
        var y = functional.scaled_dot_product_attention(q, Repeated(k), Repeated(v), is_casual: true);
        return Project(y.transpose(1, 2).reshape(x.shape[0], x.shape[1], -1), path + "o_proj.weight").MoveToOuterDisposeScope();
    }

    private Tensor Project(Tensor x, string name) => adapter.Forward(x, weights[name], adapters[name]);

    private Tensor Norm(Tensor x, string name)
    {
        using var scope = NewDisposeScope();
        var wide = x.to(float32);
        var normed = wide * rsqrt(wide.pow(2).mean([-1], keepdim: true) + config.RmsNormEps);
        return (weights[name] * normed.to(x.dtype)).MoveToOuterDisposeScope();
    }

    private (Tensor Cos, Tensor Sin) Rotary(long tokens, ScalarType dtype)
    {
        var frequencies = 1 / pow(config.Rope.Theta, arange(0, config.HeadDim, 2).to(float32) / config.HeadDim);
        var angles = outer(arange(tokens).to(float32), frequencies).repeat(1, 2);
        return (angles.cos().to(dtype), angles.sin().to(dtype));
    }
}
