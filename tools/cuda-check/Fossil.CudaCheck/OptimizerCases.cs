using Fossil.Cuda;
using Fossil.Kernels;

namespace Fossil.CudaCheck;

/// <summary>The kernels of the optimizer.</summary>
internal static class OptimizerCases
{
    private static readonly AdamWCoefficients Coefficients = new(1e-3, 0.9, 0.999, 1e-8, 0.01, 3);

    public static IEnumerable<KernelCase> Of(int count)
    {
        var (random, size, source) = (new Random(5), $"{count} float32", ("optimizer", CudaOptimizerLaunches.Source));
        Operand New(string name, double scale) => new Operand(name, ElementType.Float32, 1, count).Fill(random, scale);
        Operand parameter = New("parameter", 1), gradient = New("gradient", 1), first = New("first moment", 0.1), second = New("second moment", 0.01);
        for (var i = 0; i < count; i++) second.Values[i] = Math.Abs(second.Values[i]);
        (parameter.Expected, first.Expected, second.Expected) = (new double[count], new double[count], new double[count]);
        var c = Coefficients;
        for (var i = 0; i < count; i++)
        {
            var g = gradient.Values[i];
            var m = first.Expected[i] = (first.Values[i] * c.Beta1) + (g * (1 - c.Beta1));
            var v = second.Expected[i] = (second.Values[i] * c.Beta2) + (g * g * (1 - c.Beta2));
            parameter.Expected[i] = (parameter.Values[i] * c.Decay) - (c.StepSize * m / ((Math.Sqrt(v) / c.SecondMomentRoot) + c.Epsilon));
        }

        yield return new("adamw", size, source, [parameter, gradient, first, second], 7 * gradient.Bytes, (launcher, at) => launcher.Run(
            CudaOptimizerLaunches.AdamW(at(parameter).Address, at(gradient).Address, at(first).Address, at(second).Address, count, CudaOptimizerLaunches.Blocks(count, launcher.Multiprocessors), Coefficients)));

        Operand values = New("values", 1), norm = new("norm", ElementType.Float64, 1, 1) { Expected = [0] };
        foreach (var value in values.Values) norm.Expected[0] += value * value;
        yield return new("squared_norm", size, source, [values, norm], values.Bytes, (launcher, at) =>
        {
            var blocks = CudaOptimizerLaunches.Blocks(count, launcher.Multiprocessors);
            launcher.Run(CudaOptimizerLaunches.SquaredNorm(at(values).Address, count, blocks, at(norm).Address, launcher.Scratch(2L * blocks), launcher.Counters(1)));
        });
    }
}
