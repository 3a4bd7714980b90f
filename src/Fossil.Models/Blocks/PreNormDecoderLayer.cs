using Fossil.Concurrency;
using Fossil.Models.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>x + attention(norm(x)), then x + mlp(norm(x)): the layer of most decoders.</summary>
public abstract class PreNormDecoderLayer : DecoderLayer
{
    // Not private: a module registers the fields of its own class, and of a base class those that it can see.
    private protected readonly RMSNorm input_layernorm;
    private protected readonly DecoderAttention self_attn;
    private protected readonly RMSNorm post_attention_layernorm;
    private protected readonly Module<Tensor, Tensor> mlp;

    private protected PreNormDecoderLayer(string name, CausalLMConfig config, DecoderAttention attention, Module<Tensor, Tensor> mlp, ScalarType dtype, Device? device) : base(name)
    {
        input_layernorm = new RMSNorm(config.HiddenSize, config.RmsNormEps, dtype, device);
        self_attn = attention;
        post_attention_layernorm = new RMSNorm(config.HiddenSize, config.RmsNormEps, dtype, device);
        this.mlp = mlp;
        RegisterComponents();
        Parts = LayerParts.Of(input_layernorm, self_attn, post_attention_layernorm, mlp);
    }

    internal override LayerParts? Parts { get; }

    internal override Tensor forward(Tensor x, AttentionContext context)
    {
        if (OneTokenLayer.TryRun(x, Parts, context) is { } next) return next;
        using var scope = NewDisposeScope();
        x = x.add(self_attn.forward(input_layernorm.forward(x), context), Scalars.One);
        return x.add(mlp.forward(post_attention_layernorm.forward(x)), Scalars.One).MoveToOuterDisposeScope();
    }
}
