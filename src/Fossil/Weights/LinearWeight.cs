using Fossil.Adapters;
using Fossil.Concurrency;
using Fossil.Kernels;
using Fossil.Kernels.OneRow;
using Fossil.Serialization;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil;

/// <summary>
/// The weight W (out, in) of a linear layer, in whatever form its tensors hold it: floating-point numbers, or blocks of a quantised file. Adapters need no more of it than this: a form says how rows of
/// it are read (<see cref="Rows"/>), and may say how it multiplies without being written out.
/// </summary>
/// <remarks>It is a view of <see cref="Data"/>, without state of its own, made anew at each call: the tensors belong to the module that registers them.</remarks>
public abstract class LinearWeight
{
    private const long TileElements = 1 << 20;

    /// <summary>Width of the output, the number of rows.</summary>
    public abstract long OutFeatures { get; }

    /// <summary>Width of the input, the number of columns.</summary>
    public abstract long InFeatures { get; }

    /// <summary>The floating-point dtype of inputs, outputs and tiles.</summary>
    public abstract ScalarType Dtype { get; }

    /// <summary>The device that it is on.</summary>
    public virtual Device Device => Data[0].device;

    /// <summary>How many rows are written out at a time.</summary>
    public virtual long RowsPerTile => Math.Max(1, TileElements / Math.Max(1, InFeatures));

    /// <summary>The tensors that hold it; at least one. A backward pass notices if one of them was modified after the forward pass.</summary>
    public abstract IReadOnlyList<Tensor> Data { get; }

    /// <summary>The same form over other tensors, in the order of <see cref="Data"/>.</summary>
    /// <param name="data">The tensors.</param>
    public abstract LinearWeight WithData(IReadOnlyList<Tensor> data);

    /// <summary>Some rows, a tile (count, in) in <see cref="Dtype"/>; a view or a new tensor, which nobody writes to.</summary>
    /// <param name="start">The first row.</param>
    /// <param name="count">How many rows.</param>
    public abstract Tensor Rows(long start, long count);

    /// <summary>Writes some rows into memory that is there.</summary>
    /// <param name="start">The first row.</param>
    /// <param name="destination">(rows, in), contiguous, in <see cref="Dtype"/>, on <see cref="Device"/>.</param>
    internal virtual void WriteRows(long start, Tensor destination)
    {
        using var rows = Rows(start, destination.size(0));
        destination.copy_(rows);
    }

    /// <summary>x Wᵀ + b (rows, out), without a gradient. Here by tiles, one after the other.</summary>
    /// <param name="input">x (rows, in), contiguous, in <see cref="Dtype"/>.</param>
    /// <param name="bias">b (out), or null.</param>
    public virtual Tensor Product(Tensor input, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        if (RowsPerTile >= OutFeatures) return nn.functional.linear(input, Rows(0, OutFeatures), bias).MoveToOuterDisposeScope();
        var output = empty(input.size(0), OutFeatures, dtype: Dtype, device: input.device);
        foreach (var tile in Tiles())
        {
            using var part = NewDisposeScope();
            tile.ColumnsOf(output).copy_(nn.functional.linear(input, Rows(tile.Start, tile.Count), bias is null ? null : tile.Of(bias)));
        }

        return output.MoveToOuterDisposeScope();
    }

    /// <summary>dy W (rows, in), the gradient of x. Here by tiles, their sum in float32 (float64 for float64).</summary>
    /// <param name="gradOutput">dy (rows, out), contiguous, in <see cref="Dtype"/>.</param>
    public virtual Tensor InputGradient(Tensor gradOutput)
    {
        using var scope = NewDisposeScope();
        var accumulator = ShardOperations.Accumulator(Dtype);
        var gradient = zeros(gradOutput.size(0), InFeatures, dtype: accumulator, device: gradOutput.device);
        foreach (var tile in Tiles())
        {
            using var part = NewDisposeScope();
            gradient.addmm_(tile.ColumnsOf(gradOutput).to(accumulator), Rows(tile.Start, tile.Count).to(accumulator));
        }

        return gradient.to(Dtype).MoveToOuterDisposeScope();
    }

    /// <summary>y += x Wᵀ, in y's dtype, which is <see cref="Dtype"/>: where it can be y is the product's accumulator and is rounded once.</summary>
    internal virtual void AddProduct(Tensor output, Tensor input)
    {
        using var product = Product(input, null);
        output.add_(product, Scalars.One);
    }

    /// <summary>dx += dy W, as <see cref="AddProduct"/>.</summary>
    internal virtual void AddInputGradient(Tensor inputGradient, Tensor gradOutput)
    {
        using var product = InputGradient(gradOutput);
        inputGradient.add_(product, Scalars.One);
    }

    /// <summary>x Wᵀ + b (…, out), with the gradient of x and b: what a layer that has such a weight computes.</summary>
    /// <param name="input">x (…, in), in <see cref="Dtype"/>.</param>
    /// <param name="bias">b (out), or null.</param>
    public Tensor Apply(Tensor input, Tensor? bias = null)
    {
        ArgumentNullException.ThrowIfNull(input);
        return WeightProduct.Run(this, input, bias);
    }

    /// <summary>All rows (out, in), in <paramref name="dtype"/>; the weight's own tensor where it is one of that dtype.</summary>
    /// <param name="dtype">A floating-point dtype.</param>
    public Tensor ToTensor(ScalarType dtype) => ToTensor(dtype, copy: false);

    /// <summary>As <see cref="ToTensor(ScalarType)"/>, or with <paramref name="copy"/> a tensor that the caller may change.</summary>
    internal virtual Tensor ToTensor(ScalarType dtype, bool copy)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var whole = empty(OutFeatures, InFeatures, dtype: dtype, device: Device);
        foreach (var tile in Tiles())
        {
            using var part = NewDisposeScope();
            tile.Of(whole).copy_(Rows(tile.Start, tile.Count));
        }

        return whole.MoveToOuterDisposeScope();
    }

    /// <summary>As <see cref="Product"/>, in a <see cref="DecodingPass"/>: a quantised weight may round a few rows x as those do that serve it.</summary>
    internal virtual Tensor DecodingProduct(Tensor input, Tensor? bias) => Product(input, bias);

    /// <summary>The product with a single row, in pieces; null where no kernel of this library makes it.</summary>
    internal virtual RowProduct? OneRow() => null;

    /// <summary>The weight in the dtype that it is held in, where products are made in another one.</summary>
    internal virtual LinearWeight Exact => this;

    /// <summary>The file in whose own memory it lies; null where it has memory of its own.</summary>
    internal virtual MappedFileState? SourceFile => null;

    /// <summary>(out, in).</summary>
    internal long[] Shape => [OutFeatures, InFeatures];

    /// <summary>Whether no gradient of it is wanted.</summary>
    internal bool IsFrozen => !Data.Any(tensor => tensor.requires_grad);

    /// <summary>The rows in pieces that may be written out at a time.</summary>
    /// <param name="multiple">What the number of rows of each piece is a multiple of; it divides that of all.</param>
    internal IEnumerable<RowRange> Tiles(long multiple = 1) => RowRange.Pieces(OutFeatures, Math.Max(1, RowsPerTile / multiple) * multiple);

    /// <summary>The rows of these numbers (…), what an embedding looks up: (…, in), with a gradient where the weight is a floating-point tensor that wants one.</summary>
    /// <param name="indices">int64 or int32.</param>
    /// <exception cref="AdapterInputException">There is no such row.</exception>
    internal virtual Tensor Lookup(Tensor indices)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var numbers = Numbers(indices);
        var rows = empty(numbers.Length, InFeatures, dtype: Dtype, device: Device);
        for (var i = 0; i < numbers.Length; i++)
        {
            using var part = NewDisposeScope();
            rows.narrow(0, i, 1).copy_(Rows(numbers[i], 1));
        }

        return rows.view([.. indices.shape, InFeatures]).MoveToOuterDisposeScope();
    }

    /// <summary>The numbers of rows to look up, each of a row that is there.</summary>
    /// <exception cref="AdapterInputException">There is no such row.</exception>
    private protected long[] Numbers(Tensor indices)
    {
        using var scope = NewDisposeScope();
        var numbers = indices.cpu().to(ScalarType.Int64).flatten().data<long>().ToArray();
        return Array.Find(numbers, number => number < 0 || number >= OutFeatures) is var wrong and not 0
            ? throw new AdapterInputException($"The index {wrong} is asked for, and the embedding has {OutFeatures} rows.")
            : numbers;
    }

    /// <summary>‖W + s·B A‖ of each row (out), float32 (float64 for float64), without that matrix: ‖W_j‖² + 2s·(W Aᵀ)_j·B_j + s²·B_j (A Aᵀ) B_jᵀ. The largest intermediate beside a tile is (out, r).</summary>
    /// <param name="a">A (r, in).</param>
    /// <param name="b">B (out, r).</param>
    /// <param name="scale">s.</param>
    /// <param name="productDtype">The dtype of the factors of W Aᵀ where W has it too; otherwise they are those of sums.</param>
    internal Tensor RowNorms(Tensor a, Tensor b, double scale, ScalarType? productDtype = null)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var accumulator = ShardOperations.Accumulator(Dtype);
        var (factorA, factorB, norms) = (a.to(accumulator), b.to(accumulator), empty(OutFeatures, dtype: accumulator, device: Device));
        Tensor? gram = null;
        foreach (var tile in Tiles())
        {
            using var part = NewDisposeScope();
            var (weight, tileB, tileNorms) = (Rows(tile.Start, tile.Count), tile.Of(factorB), tile.Of(norms));
            if (scale == 0 ? KernelRegistry.TryRun<IChangedNorms>(0, [tileNorms, weight], static (kernel, m) => kernel.TryWrite(m[0], m[1], default, default, default, 0))
                : productDtype == Dtype && KernelRegistry.TryRun<IChangedNorms>(0, [tileNorms, weight, factorA, tileB], (kernel, m) => kernel.TryWriteRounded(m[0], m[1], m[2], m[3], (float)scale))) continue;
            if (scale != 0) gram ??= factorA.mm(factorA.t()).MoveToOuterDisposeScope();
            var crossA = gram is null ? null : productDtype == Dtype ? factorA.to(Dtype) : factorA;
            foreach (var (start, count) in ShardOperations.Blocks(weight, accumulator))
            {
                using var block = NewDisposeScope();
                var range = new RowRange(start, count);
                WriteNorms(range.Of(tileNorms), range.Of(weight), crossA, range.Of(tileB), gram, scale);
            }
        }

        return norms.MoveToOuterDisposeScope();
    }

    private static void WriteNorms(Tensor norms, Tensor rows, Tensor? a, Tensor b, Tensor? gram, double scale)
    {
        var product = a is null ? null : ShardOperations.TimesTransposed(rows, a);
        if (product is not null && KernelRegistry.TryRun<IChangedNorms>(0, [norms, rows, product, b, gram!], (kernel, m) => kernel.TryWrite(m[0], m[1], m[2], m[3], m[4], (float)scale))) return;
        var squares = rows.to(norms.dtype).norm(1).pow(Scalars.Two);
        if (product is not null) squares.add_(product.to(norms.dtype).mul(Scalars.Of(2 * scale)).add_(b.mm(gram!), Scalars.Of(scale * scale)).mul_(b).sum(1), Scalars.One);

        // Rounding can leave a row that cancels just below zero.
        norms.copy_(squares.clamp_(min: Scalars.Zero).sqrt_());
    }
}
