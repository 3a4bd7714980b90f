using Fossil.Cuda;

namespace Fossil.CudaCheck;

/// <summary>The kernels of decoders.</summary>
internal static class DecoderCases
{
    public static IEnumerable<KernelCase> Of(ElementType type, int rows, int hidden, int headDim, int intermediate, int vocabulary)
    {
        var element = CudaElement.All.Single(element => element.Name == type.ToString());
        CudaDecoderLaunches launches = new(element);
        var source = ($"decoder_{type}", CudaDecoderSource.Of(element));
        return [.. Norm(launches, source, type, rows, hidden), .. Rotary(launches, source, type, rows, hidden, headDim), .. Gate("silu", launches, source, type, rows, intermediate), .. Gate("gelu", launches, source, type, rows, intermediate), .. CrossEntropy(source, type, rows, vocabulary)];
    }

    private static IEnumerable<KernelCase> Norm(CudaDecoderLaunches launches, (string, string) source, ElementType type, int rows, int columns)
    {
        var (random, size) = (new Random(1), $"{type}, {rows} rows of {columns}");
        Operand x = new Operand("x", type, rows, columns).Fill(random), weight = new Operand("weight", type, 1, columns).Fill(random), dy = new Operand("dy", type, rows, columns).Fill(random);
        Operand y = new("y", type, rows, columns), scales = new("scales", ElementType.Float32, 1, rows), given = new("scales", ElementType.Float32, 1, rows), dx = new("dx", type, rows, columns), dw = new("dw", type, 1, columns);
        (y.Expected, scales.Expected, dx.Expected, dw.Expected) = (new double[x.Values.Length], new double[rows], new double[x.Values.Length], new double[columns]);
        for (var row = 0; row < rows; row++)
        {
            double squares = 0, products = 0;
            for (var column = 0; column < columns; column++)
            {
                squares += x[row, column] * x[row, column];
                products += dy[row, column] * weight[0, column] * x[row, column];
            }
            var s = 1 / Math.Sqrt((squares / columns) + 1e-5);
            scales.Expected[row] = given.Values[row] = s;
            for (var column = 0; column < columns; column++)
            {
                y.Expected[(row * columns) + column] = x.Round(x[row, column] * s) * weight[0, column];
                dx.Expected[(row * columns) + column] = (dy[row, column] * weight[0, column] * s) - (x[row, column] * s * s * s * products / columns);
                dw.Expected[column] += dy[row, column] * x[row, column] * s;
            }
        }

        yield return new("rms_norm", size, source, [x, weight, y, scales], x.Bytes + y.Bytes, (launcher, at) => launcher.Run(launches.RmsNorm(at(x), at(weight).Address, at(y).Address, at(scales).Address, 1e-5f)));
        yield return new(
            "rms_norm_input_gradient", size, source, [x, weight, dy, dx, given], x.Bytes + dy.Bytes + dx.Bytes,
            (launcher, at) => launcher.Run(launches.RmsNormInputGradient(at(x), at(weight).Address, at(dy).Address, at(dx).Address, at(given).Address)));
        yield return new("rms_norm_weight_gradient", size, source, [x, dy, given, dw], x.Bytes + dy.Bytes, (launcher, at) =>
        {
            var split = launches.SplitOfWeightGradient(at(x), launcher.Multiprocessors);
            var (parts, counters) = split.Slices > 1 ? (launcher.Scratch((long)split.Slices * columns), launcher.Counters(split.Tiles)) : (0, 0);
            launcher.Run(CudaDecoderLaunches.RmsNormWeightGradient(at(x), at(dy).Address, at(given).Address, at(dw).Address, split, parts, counters));
        });
    }

    private static IEnumerable<KernelCase> Rotary(CudaDecoderLaunches launches, (string, string) source, ElementType type, int rows, int columns, int headDim)
    {
        var (random, size) = (new Random(2), $"{type}, {rows} rows of {columns / headDim} heads of {headDim}");
        Operand heads = new Operand("heads", type, rows, columns).Fill(random), y = new("y", type, rows, columns), dy = new Operand("dy", type, rows, columns).Fill(random), dx = new("dx", type, rows, columns);
        Operand cos = new("cos", ElementType.Float32, rows, headDim), sin = new("sin", ElementType.Float32, rows, headDim);
        for (var row = 0; row < rows; row++)
        {
            for (var i = 0; i < headDim; i++)
            {
                var angle = row * Math.Pow(1e4, -2.0 * (i % (headDim / 2)) / headDim);
                (cos[row, i], sin[row, i]) = ((float)Math.Cos(angle), (float)Math.Sin(angle));
            }
        }

        (y.Expected, dx.Expected) = (new double[heads.Values.Length], new double[heads.Values.Length]);
        (y.Rounded, dx.Rounded) = (2, 2);
        for (var row = 0L; row < rows; row++)
        {
            for (var head = 0L; head < columns; head += headDim)
            {
                for (var i = 0L; i < headDim / 2; i++)
                {
                    var (one, two) = ((row * columns) + head + i, (row * columns) + head + i + (headDim / 2));
                    var (c, s) = (heads.Round(cos[row, i]), heads.Round(sin[row, i]));
                    (y.Expected[one], y.Expected[two]) = ((heads.Values[one] * c) - (heads.Values[two] * s), (heads.Values[two] * c) + (heads.Values[one] * s));
                    (dx.Expected[one], dx.Expected[two]) = ((dy.Values[one] * c) + (dy.Values[two] * s), (dy.Values[two] * c) - (dy.Values[one] * s));
                }
            }
        }

        yield return new("rotary", size, source, [heads, y, cos, sin], heads.Bytes + y.Bytes + cos.Bytes, (launcher, at) => launcher.Run(launches.Rotary(at(heads), at(y).Address, at(cos), at(sin).Address, headDim, 1))) { Parameter = headDim };
        yield return new("rotary_backward", size, source, [dy, dx, cos, sin], dy.Bytes + dx.Bytes + cos.Bytes, (launcher, at) => launcher.Run(launches.RotaryBackward(at(dy).Address, at(dx), at(cos), at(sin).Address, headDim, 1))) { Parameter = headDim };
    }

    private static IEnumerable<KernelCase> Gate(string activation, CudaDecoderLaunches launches, (string, string) source, ElementType type, int rows, int columns)
    {
        var (random, size, count) = (new Random(3), $"{type}, {rows} rows of {columns}", (long)rows * columns);
        Operand gate = new Operand("gate", type, rows, columns).Fill(random, 6), up = new Operand("up", type, rows, columns).Fill(random), dy = new Operand("dy", type, rows, columns).Fill(random);
        Operand y = new("y", type, rows, columns), gateGradient = new("gate gradient", type, rows, columns), upGradient = new("up gradient", type, rows, columns);
        (y.Expected, gateGradient.Expected, upGradient.Expected) = (new double[count], new double[count], new double[count]);
        for (var i = 0L; i < count; i++)
        {
            var (g, u, d) = (gate.Values[i], up.Values[i], dy.Values[i]);
            // Both are g σ(z): SiLU with z = g, GELU by its approximation with tanh with z = 2 √(2/π) (g + 0.044715 g³).
            var scale = 2 * Math.Sqrt(2 / Math.PI);
            var (argument, slope) = activation == "silu" ? (g, 1) : (scale * (g + (0.044715 * g * g * g)), scale * (1 + (3 * 0.044715 * g * g)));
            var sigmoid = 1 / (1 + Math.Exp(-argument));
            y.Expected[i] = gate.Round(g * sigmoid) * u;
            upGradient.Expected[i] = d * g * sigmoid;
            gateGradient.Expected[i] = d * u * sigmoid * (1 + (g * (1 - sigmoid) * slope));
        }

        yield return new($"{activation}_gate", size, source, [gate, up, y], 3 * y.Bytes, (launcher, at) => launcher.Run(launches.Gate(activation, at(gate).Address, at(up).Address, at(y).Address, count)));
        yield return new(
            $"{activation}_gate_backward", size, source, [gate, up, dy, gateGradient, upGradient], 5 * y.Bytes,
            (launcher, at) => launcher.Run(launches.GateBackward(activation, at(gate).Address, at(up).Address, at(dy).Address, at(gateGradient).Address, at(upGradient).Address, count)));
    }

    private static IEnumerable<KernelCase> CrossEntropy((string, string) source, ElementType type, int rows, int vocabulary)
    {
        var random = new Random(4);
        Operand logits = new Operand("logits", type, rows, vocabulary).Fill(random, 8), targets = new("targets", ElementType.Int64, rows, 1), losses = new("losses", ElementType.Float32, rows, 1);
        (logits.Expected, losses.Expected) = (new double[logits.Values.Length], new double[rows]);
        for (var row = 0; row < rows; row++)
        {
            // Every seventh row does not count.
            targets.Values[row] = row % 7 == 6 ? -100 : random.Next(vocabulary);
            if (targets.Values[row] < 0) continue;
            var (start, largest, sum) = ((long)row * vocabulary, double.NegativeInfinity, 0.0);
            for (var i = 0; i < vocabulary; i++) largest = Math.Max(largest, logits.Values[start + i]);
            for (var i = 0; i < vocabulary; i++) sum += Math.Exp(logits.Values[start + i] - largest);
            losses.Expected[row] = Math.Log(sum) + largest - logits.Values[start + (long)targets.Values[row]];
            for (var i = 0; i < vocabulary; i++) logits.Expected[start + i] = Math.Exp(logits.Values[start + i] - largest) / sum;
            logits.Expected[start + (long)targets.Values[row]] -= 1;
        }

        yield return new(
            "cross_entropy", $"{type}, {rows} rows of {vocabulary}", source, [logits, targets, losses], 3 * logits.Bytes,
            (launcher, at) => launcher.Run(CudaDecoderLaunches.CrossEntropy(at(logits), at(targets), at(losses).Address, true, 1)));
    }
}
