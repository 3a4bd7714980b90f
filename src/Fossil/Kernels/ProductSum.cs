using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Kernels;

/// <summary>
/// Products of 16-bit tensors that add up to one, which is rounded once: Y = s·L R + L' R' + … + tile(T). A kernel makes the whole sum where there is one; otherwise libtorch's operations make one product
/// after the other, and Y is their accumulator.
/// </summary>
internal sealed class ProductSum
{
    private const long FewestRows = 16;

    private readonly List<(Tensor Left, Tensor Right)> products = [];

    // Of the first product alone.
    private double scale = 1;

    /// <summary>T (rows, r), float32, of which column c of Y has column c mod r.</summary>
    public Tensor? Tile { get; set; }

    /// <summary>Whether a kernel makes sums of the products of <paramref name="left"/>: only then is it worth to gather them.</summary>
    public static bool HasKernel(Tensor left) => left.dtype == ScalarType.BFloat16 && KernelRegistry.For<IRoundedProduct>(0, left) is not [];

    /// <summary>Whether a kernel makes L R of so many rows in less time than libtorch's operation: of fewer, laying out R costs more.</summary>
    public static bool Pays(Tensor left, long rows) => rows >= FewestRows && HasKernel(left);

    /// <summary>s·L R, a new tensor.</summary>
    /// <param name="left">As in <see cref="Add"/>.</param>
    /// <param name="right">As in <see cref="Add"/>.</param>
    /// <param name="dtype">L's, or float32.</param>
    /// <param name="scale">s.</param>
    public static Tensor Of(Tensor left, Tensor right, ScalarType dtype, double scale = 1)
    {
        using var scope = NewDisposeScope();
        var output = empty(left.size(0), right.size(1), dtype: dtype, device: left.device);
        var sum = new ProductSum();
        sum.Add(left, right, scale);
        sum.WriteTo(output);
        return output.MoveToOuterDisposeScope();
    }

    /// <summary>s·Lᵀ R in float32: a new tensor, or <paramref name="place"/>.</summary>
    /// <param name="left">L (depth, rows), in 16 bits.</param>
    /// <param name="right">R (depth, columns), as L.</param>
    /// <param name="scale">s.</param>
    /// <param name="place">(rows, columns), float32; null for a new tensor.</param>
    public static Tensor OfTransposed(Tensor left, Tensor right, double scale = 1, Tensor? place = null)
    {
        using var scope = NewDisposeScope();
        var output = place ?? empty(left.size(1), right.size(1), dtype: ScalarType.Float32, device: left.device);
        var sum = new ProductSum();
        sum.Add(HasKernel(left) ? Turned(left) : left.t(), right, scale);
        sum.WriteTo(output);
        return place ?? output.MoveToOuterDisposeScope();
    }

    /// <summary>Adds a product, s·L R.</summary>
    /// <param name="left">L (rows, depth), in 16 bits.</param>
    /// <param name="right">R (depth, columns), or (depth, m) that stands for its tiling, as L or in float32, which is rounded; the transpose of a matrix is best.</param>
    /// <param name="scale">s. That of the first product is an exact factor, any other one is a factor of R before it is rounded.</param>
    public void Add(Tensor left, Tensor right, double scale = 1)
    {
        if (products.Count == 0) this.scale = scale;
        else if (scale != 1) right = right.to(ScalarType.Float32).mul(Scalars.Of(scale));
        products.Add((left, right));
    }

    /// <summary>Makes the sum.</summary>
    /// <param name="output">Y (rows, columns), as L or float32; written.</param>
    public void WriteTo(Tensor output)
    {
        if (output.numel() == 0 || TryByKernel(output)) return;
        using var scope = NewDisposeScope();
        foreach (var (i, (left, right)) in products.Index()) AddByOperations(output, left, right.to(left.dtype), i == 0);
        if (Tile is not null) ShardOperations.AddTiled(output, Tile.to(output.dtype).to(Tile.dtype), (int)Tile.size(1));
    }

    /// <summary>Lᵀ by rows, with zeros behind them up to a whole step of the depth: libtorch compiles a kernel for each depth, and tokens are of all numbers.</summary>
    private static Tensor Turned(Tensor left)
    {
        const long Step = 64;
        var (depth, rows) = (left.size(0), left.size(1));
        if (depth % Step == 0) return left.t().contiguous();
        var turned = zeros(rows, (depth + Step - 1) / Step * Step, dtype: left.dtype, device: left.device);
        turned.narrow(1, 0, depth).copy_(left.t());
        return turned;
    }

    private bool TryByKernel(Tensor output)
    {
        if (KernelRegistry.For<IRoundedProduct>(0, output) is []) return false;
        using var scope = NewDisposeScope();
        var isTransposed = new bool[products.Count];
        var operands = new Tensor[1 + (2 * products.Count) + (Tile is null ? 0 : 1)];
        operands[0] = output;
        for (var i = 0; i < isTransposed.Length; i++)
        {
            var (left, right) = products[i];
            isTransposed[i] = right.stride(1) != 1 && right.stride(0) == 1;
            (operands[(2 * i) + 1], operands[(2 * i) + 2]) = (left, isTransposed[i] ? right.t() : right);
        }

        if (Tile is not null) operands[^1] = Tile;
        var (hasTile, factor) = (Tile is not null, (float)scale);
        return KernelRegistry.TryRun<IRoundedProduct>(0, operands, (kernel, m) => kernel.TrySum(m[0], hasTile ? m[1..^1] : m[1..], isTransposed, hasTile ? m[^1] : default, factor));
    }

    private void AddByOperations(Tensor output, Tensor left, Tensor right, bool isFirst)
    {
        using var scope = NewDisposeScope();
        if (left.size(1) > right.size(0)) left = left.narrow(1, 0, right.size(0));
        var (width, factor) = (right.size(1), isFirst ? scale : 1);
        var tiles = output.size(1) / width;
        if (tiles == 1 && output.dtype == left.dtype)
        {
            output.addmm_(left, right, beta: isFirst ? 0 : 1, alpha: (float)factor);
            return;
        }

        var product = left.mm(right).to(output.dtype);
        if (factor != 1) product.mul_(Scalars.Of(factor));
        if (isFirst) output.zero_();
        output.view(output.size(0), tiles, width).add_(product.unsqueeze(1), Scalars.One);
    }
}
