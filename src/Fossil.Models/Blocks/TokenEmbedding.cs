using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>Token ids (…) to vectors (…, hidden_size).</summary>
public sealed class TokenEmbedding : Module<Tensor, Tensor>, IEmbedding
{
    private Parameter weight;

    internal TokenEmbedding(int count, int size, ScalarType dtype, Device? device) : base(nameof(TokenEmbedding))
    {
        weight = Projection.Allocate([count, size], dtype, device);
        RegisterComponents();
    }

    /// <summary>The matrix (vocab_size, hidden_size).</summary>
    public Parameter Weight => weight;

    Tensor IEmbedding.Weight => weight;

    /// <summary>Puts a matrix in the place of the one that is there, which lives on.</summary>
    internal void Put(Parameter parameter)
    {
        ConditionallyRegisterParameter(nameof(weight), parameter);
        weight = parameter;
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor ids)
    {
        using var flat = ids.flatten();
        using var rows = weight.index_select(0, flat);
        return rows.view([.. ids.shape, weight.shape[1]]);
    }
}
