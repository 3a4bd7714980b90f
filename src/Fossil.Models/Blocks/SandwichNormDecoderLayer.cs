using Fossil.Concurrency;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>x + norm(attention(norm(x))), then x + norm(mlp(norm(x))), by norms of 1 + weight: the layer of Gemma 2 and 3.</summary>
public abstract class SandwichNormDecoderLayer : DecoderLayer
{
    // Not private: a module registers the fields of its own class, and of a base class those that it can see.
    private protected readonly UnitOffsetRMSNorm input_layernorm;
    private protected readonly DecoderAttention self_attn;
    private protected readonly UnitOffsetRMSNorm post_attention_layernorm;
    private protected readonly UnitOffsetRMSNorm pre_feedforward_layernorm;
    private protected readonly Module<Tensor, Tensor> mlp;
    private protected readonly UnitOffsetRMSNorm post_feedforward_layernorm;

    private protected SandwichNormDecoderLayer(string name, CausalLMConfig config, DecoderAttention attention, Module<Tensor, Tensor> mlp, ScalarType dtype, Device? device) : base(name)
    {
        input_layernorm = Norm();
        self_attn = attention;
        post_attention_layernorm = Norm();
        pre_feedforward_layernorm = Norm();
        this.mlp = mlp;
        post_feedforward_layernorm = Norm();
        RegisterComponents();

        UnitOffsetRMSNorm Norm() => new(config.HiddenSize, config.RmsNormEps, dtype, device);
    }

    internal override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        x = x.add(post_attention_layernorm.forward(self_attn.forward(input_layernorm.forward(x), context)), Scalars.One);
        return x.add(post_feedforward_layernorm.forward(mlp.forward(pre_feedforward_layernorm.forward(x))), Scalars.One).MoveToOuterDisposeScope();
    }
}
