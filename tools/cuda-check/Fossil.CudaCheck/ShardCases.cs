using Fossil.CompilerServices;
using Fossil.Cuda;
using Fossil.Cuda.Native;
using static TorchSharp.torch;

namespace Fossil.CudaCheck;

/// <summary>The kernels of a shard size: y += S D with S[n, j] = Σ x[n, i·r + j], and its gradients.</summary>
internal static class ShardCases
{
    /// <summary>Rows up to which one kernel takes a whole pass.</summary>
    private const int Few = CudaShardShape.MostRows;

    public static IEnumerable<KernelCase> Of(int shardSize, ElementType type, int rows, int inputs, int outputs, bool hasProducts)
    {
        var random = new Random(shardSize + rows);
        var stubs = CudaShardRegistry.Of(shardSize);
        var source = ($"shard_{shardSize}_{type}", stubs.Source(Enum.Parse<ScalarType>(type.ToString()))!);
        var size = $"r={shardSize}, {type}, {rows} rows, {inputs} to {outputs}";
        Operand Matrix(string name, ElementType elements, long height, long width) => new(name, elements, height, width);
        Operand x = Matrix("x", type, rows, inputs).Fill(random), sum = Matrix("sum", ElementType.Float32, rows, shardSize);
        var sums = Sum(x, shardSize);
        sum.Expected = sums;
        yield return new("shard_sum", size, source, [x, sum], x.Bytes + sum.Bytes, (launcher, at) => Must(stubs.TryShardSum(launcher, at(x), at(sum)))) { Parameter = shardSize };

        Operand gradient = Matrix("gradient", ElementType.Float32, rows, shardSize).Fill(random), dx = Matrix("dx", type, rows, inputs).Fill(random);
        dx.Expected = Tiled(dx, gradient.Values, shardSize);
        yield return new("add_tiled", size, source, [gradient, dx], gradient.Bytes + (2 * dx.Bytes), (launcher, at) => Must(stubs.TryAddTiled(launcher, at(gradient), at(dx), rounds: false, adds: true))) { Parameter = shardSize };

        if (rows <= Few)
        {
            foreach (var isRounded in type == ElementType.Float32 ? [false] : new[] { false, true })
            {
                foreach (var one in Fused(stubs, source, size, type, rows, inputs, outputs, isRounded)) yield return one;
            }
        }
        else if (hasProducts)
        {
            foreach (var one in WithProducts(stubs, source, size, type, rows, inputs, outputs)) yield return one;
        }
    }

    /// <summary>Both passes as one launch each.</summary>
    private static IEnumerable<KernelCase> Fused(Kernels.ICudaShardKernels stubs, (string, string) source, string size, ElementType type, int rows, int inputs, int outputs, bool isRounded)
    {
        var (shardSize, random, suffix) = (stubs.ShardSize, new Random(rows), isRounded ? "_rounded" : "");
        Operand x = new Operand("x", type, rows, inputs).Fill(random), shard = new Operand("shard", ElementType.Float32, shardSize, outputs).Fill(random, 0.1);
        Operand y = new Operand("y", type, rows, outputs).Fill(random), sum = new("sum", ElementType.Float32, rows, shardSize), dy = new Operand("dy", type, rows, outputs).Fill(random, 0.1);
        Operand dx = new Operand("dx", type, rows, inputs).Fill(random), gradient = new("gradient", ElementType.Float32, shardSize, outputs), given = new Operand("sum", ElementType.Float32, rows, shardSize).Fill(random);
        var sums = Sum(x, shardSize);
        sum.Expected = sums;
        (y.Expected, y.Rounded) = Product(y, sums, shard, isRounded);
        yield return new(
            "forward" + suffix, size, source, [x, shard, y, sum], x.Bytes + shard.Bytes + (2 * y.Bytes) + sum.Bytes,
            (launcher, at) => Must(stubs.TryForward(launcher, at(x), at(shard), at(y), at(sum), isRounded, adds: true))) { Parameter = shardSize };

        Backward(type, dy, shard, given, dx, gradient, isRounded);
        yield return new(
            "backward" + suffix, size, source, [dy, shard, given, dx, gradient], dy.Bytes + (2 * shard.Bytes) + given.Bytes + (2 * dx.Bytes),
            (launcher, at) => Must(stubs.TryBackward(launcher, at(dy), at(shard), at(given), at(dx), at(gradient), isRounded, adds: true))) { Parameter = shardSize };
    }

    /// <summary>Many rows: a sum and a product, and two products and an addition; factors of the wide matrices' type.</summary>
    private static IEnumerable<KernelCase> WithProducts(Kernels.ICudaShardKernels stubs, (string, string) source, string size, ElementType type, int rows, int inputs, int outputs)
    {
        var (shardSize, random, scalar) = (stubs.ShardSize, new Random(rows), Enum.Parse<ScalarType>(type.ToString()));
        Operand x = new Operand("x", type, rows, inputs).Fill(random), shard = new Operand("shard", type, shardSize, outputs).Fill(random, 0.1), y = new Operand("y", type, rows, outputs).Fill(random);
        Operand sum = new("sum", type, rows, shardSize), dy = new Operand("dy", type, rows, outputs).Fill(random, 0.1), dx = new Operand("dx", type, rows, inputs).Fill(random);
        Operand gradient = new("gradient", ElementType.Float32, shardSize, outputs), given = new Operand("sum", type, rows, shardSize).Fill(random), sumGradient = new("sum gradient", ElementType.Float32, rows, shardSize);
        CublasMatrix Factor(CudaMatrix matrix, ScalarType elements, bool isTransposed = false) => new(matrix.Address, elements, (int)matrix.RowStride, isTransposed);
        var sums = Array.ConvertAll(Sum(x, shardSize), sum.Round);
        (y.Expected, y.Rounded) = Product(y, sums, shard, isRounded: false);
        yield return new("forward_many", size, source, [x, shard, y, sum], x.Bytes + shard.Bytes + (2 * y.Bytes) + sum.Bytes, (launcher, at) =>
        {
            Must(stubs.TryShardSum(launcher, at(x), at(sum)));
            launcher.Multiply(Factor(at(sum), scalar), Factor(at(shard), scalar), Factor(at(y), scalar), (rows, outputs, shardSize), 1);
        }) { Parameter = shardSize };

        Backward(type, dy, shard, given, dx, gradient, isRounded: false);
        yield return new("backward_many", size, source, [dy, shard, given, dx, gradient, sumGradient], (2 * dy.Bytes) + shard.Bytes + gradient.Bytes + given.Bytes + (2 * dx.Bytes), (launcher, at) =>
        {
            launcher.Multiply(Factor(at(dy), scalar), Factor(at(shard), scalar, true), Factor(at(sumGradient), ScalarType.Float32), (rows, shardSize, outputs), 0);
            launcher.Multiply(Factor(at(given), scalar, true), Factor(at(dy), scalar), Factor(at(gradient), ScalarType.Float32), (shardSize, outputs, rows), 0);
            Must(stubs.TryAddTiled(launcher, at(sumGradient), at(dx), rounds: true, adds: true));
        }) { Parameter = shardSize };
    }

    private static void Must(bool isLaunched)
    {
        if (!isLaunched) throw new InvalidOperationException("A launch stub does not take operands that it is there for.");
    }

    private static double[] Sum(Operand x, int shardSize)
    {
        var sums = new double[x.Rows * shardSize];
        for (var row = 0L; row < x.Rows; row++)
        {
            for (var column = 0L; column < x.Columns; column++) sums[(row * shardSize) + (column % shardSize)] += x[row, column];
        }
        return sums;
    }

    private static double[] Tiled(Operand dx, double[] gradient, int shardSize)
    {
        var result = new double[dx.Values.Length];
        for (var i = 0L; i < result.Length; i++) result[i] = dx.Values[i] + gradient[(i / dx.Columns * shardSize) + (i % dx.Columns % shardSize)];
        return result;
    }

    /// <summary>y + S D, and the size of what factors of 16 bits change.</summary>
    private static (double[] Sum, double Rounded) Product(Operand y, double[] sums, Operand shard, bool isRounded)
    {
        var result = (double[])y.Values.Clone();
        var largest = new double[y.Rows];
        Parallel.For(0, y.Rows, row =>
        {
            for (var j = 0L; j < shard.Rows; j++)
            {
                var factor = isRounded ? y.Round(sums[(row * shard.Rows) + j]) : sums[(row * shard.Rows) + j];
                for (var column = 0L; column < y.Columns; column++)
                {
                    var product = factor * (isRounded ? y.Round(shard[j, column]) : shard[j, column]);
                    result[(row * y.Columns) + column] += product;
                    largest[row] = Math.Max(largest[row], Math.Abs(product));
                }
            }
        });
        return (result, isRounded ? largest.Max() : 0);
    }

    private static void Backward(ElementType type, Operand dy, Operand shard, Operand sum, Operand dx, Operand gradient, bool isRounded)
    {
        var (rows, shards) = (dy.Rows, shard.Rows);
        double Factor(Operand operand, long row, long column) => isRounded ? dy.Round(operand[row, column]) : operand[row, column];
        var sumGradient = new double[rows * shards];
        var shardGradient = new double[shards * shard.Columns];
        Parallel.For(0, rows, row =>
        {
            for (var j = 0L; j < shards; j++)
            {
                var total = 0.0;
                for (var column = 0L; column < dy.Columns; column++) total += dy[row, column] * Factor(shard, j, column);
                sumGradient[(row * shards) + j] = dx.Round(total);
            }
        });
        Parallel.For(0, shards, j =>
        {
            for (var row = 0L; row < rows; row++)
            {
                var factor = Factor(sum, row, j);
                for (var column = 0L; column < dy.Columns; column++) shardGradient[(j * shard.Columns) + column] += factor * dy[row, column];
            }
        });
        dx.Rounded = type == ElementType.Float32 ? 0 : sumGradient.Max(Math.Abs);
        dx.Expected = Tiled(dx, sumGradient, (int)shards);
        gradient.Expected = shardGradient;
    }
}
