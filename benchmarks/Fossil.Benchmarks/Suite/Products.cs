using Fossil.Models;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>Matrix products alone, by libtorch, one behind the other: what a step cannot do without. Operands of one shape are made once, the weights are the model's own.</summary>
internal sealed class Products : IDisposable
{
    private readonly Dictionary<(ScalarType, string), Tensor> operands = [];
    private readonly List<Func<Tensor>> products = [];

    /// <summary>The products of a frozen step: x Wᵀ and dy W of all projections and of the output layer.</summary>
    /// <param name="model">The model.</param>
    /// <param name="rows">Tokens of a step.</param>
    /// <param name="outputRows">Those of them that the output layer reads.</param>
    public static Products OfFrozen(LlamaForCausalLM model, long rows, long outputRows)
    {
        var products = new Products();
        foreach (var (name, weight) in model.named_parameters().Where(named => named.parameter.dim() == 2))
        {
            var count = name.EndsWith("embed_tokens.weight", StringComparison.Ordinal) ? outputRows : rows;
            var (x, gradient) = (products.Operand(weight.dtype, count, weight.shape[1]), products.Operand(weight.dtype, count, weight.shape[0]));
            products.products.Add(() => nn.functional.linear(x, weight));
            products.products.Add(() => gradient.mm(weight));
        }

        return products;
    }

    /// <summary>The products that an adapter adds to all seven projections.</summary>
    /// <param name="model">The model.</param>
    /// <param name="dtype">What is multiplied.</param>
    /// <param name="shapes">Of a projection's in and out the products (m, k, n), or of batches (b, m, k, n).</param>
    public static Products OfAdapter(LlamaForCausalLM model, ScalarType dtype, Func<long, long, long[][]> shapes)
    {
        var products = new Products();
        foreach (var weight in model.named_parameters().Where(named => named.name.Contains("_proj.", StringComparison.Ordinal)).Select(named => named.parameter))
        {
            foreach (var shape in shapes(weight.shape[1], weight.shape[0]))
            {
                var (left, right) = (products.Operand(dtype, shape[..^1]), products.Operand(dtype, [.. shape[..^3], .. shape[^2..]]));
                products.products.Add(() => left.matmul(right));
            }
        }

        return products;
    }

    /// <summary>Makes all of them.</summary>
    public void Run()
    {
        foreach (var product in products) product().Dispose();
    }

    public void Dispose()
    {
        foreach (var operand in operands.Values) operand.Dispose();
    }

    private Tensor Operand(ScalarType dtype, params long[] shape)
    {
        ref var operand = ref System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(operands, (dtype, string.Join(",", shape)), out _);
        return operand ??= randn(shape, dtype: ScalarType.Float32).to(dtype).DetachFromDisposeScope();
    }
}
