using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>Token ids (…) to vectors (…, hidden_size).</summary>
public sealed class TokenEmbedding : EncodableModule, IEmbedding
{
    internal TokenEmbedding(int count, int size, ScalarType dtype, Device? device) : base(nameof(TokenEmbedding))
    {
        weight = Projection.Allocate([count, size], dtype, device);
        RegisterComponents();
    }

    /// <summary>The matrix (vocab_size, hidden_size).</summary>
    /// <exception cref="NotAdaptableException">It is held in another form than one floating-point parameter.</exception>
    public Parameter Weight => IsFloatingPoint ? (Parameter)weight! : throw new NotAdaptableException($"The embedding is held as {Rows.GetType().Name}, not as a floating-point parameter, which {nameof(Expand)} makes of it.");

    /// <summary>The matrix (vocab_size, hidden_size), in whatever form it is held.</summary>
    public LinearWeight Rows => Form;

    Tensor IEmbedding.Weight => Weight;

    /// <summary>Puts a matrix in the place of the one that is there, which lives on.</summary>
    internal void Put(Parameter parameter)
    {
        ConditionallyRegisterParameter(nameof(weight), parameter);
        weight = parameter;
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor ids) => Form.Lookup(ids);
}
