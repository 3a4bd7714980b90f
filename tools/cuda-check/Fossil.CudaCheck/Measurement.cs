using System.Diagnostics;
using Fossil.Cuda;
using Fossil.Cuda.Native;

namespace Fossil.CudaCheck;

/// <summary>What a case gave.</summary>
/// <param name="Case">The case.</param>
/// <param name="Worst">The largest error, of the tolerance: 1 is just within it.</param>
/// <param name="Where">The operand that has it.</param>
/// <param name="Microseconds">A launch's time on the device, with all of its kernels.</param>
/// <param name="HostMicroseconds">What the host took to launch it.</param>
internal sealed record CaseResult(KernelCase Case, double Worst, string Where, double Microseconds, double HostMicroseconds)
{
    public bool Passed => Worst <= 1;

    public double GigabytesPerSecond => Case.MovedBytes / Microseconds / 1e3;
}

/// <summary>Runs cases on a device: once for what they compute, and often for their time.</summary>
/// <param name="device">The device.</param>
/// <param name="cublas">Products; null where there are none.</param>
/// <param name="launches">Launches between two events.</param>
/// <param name="bytes">Bytes over which launches go in turn.</param>
internal sealed class Measurement(CudaDevice device, Cublas? cublas, int launches, long bytes)
{
    public CaseResult Run(KernelCase kernel)
    {
        using DeviceBuffer buffer = new(device, kernel.Operands, bytes);
        using DeviceLauncher launcher = new(device, cublas, kernel.Source.Text);
        kernel.Launch(launcher, operand => buffer.Matrix(operand, 0));
        var (worst, where) = (0.0, "");
        foreach (var operand in kernel.Operands.Where(operand => operand.Expected is not null))
        {
            var error = Error(operand, buffer.Read(operand));
            if (where.Length == 0 || !(error <= worst)) (worst, where) = (error, operand.Name);
        }

        var (microseconds, host) = Time(index => kernel.Launch(launcher, operand => buffer.Matrix(operand, index % buffer.Copies)));
        return new(kernel, worst, where, microseconds, host);
    }

    /// <summary>Bytes a second that a copy within the device reads and writes, in gigabytes.</summary>
    public double CopyBandwidth()
    {
        var half = Math.Max(bytes / 4, 1 << 12);
        var memory = device.Memory.Allocate(half * 4);
        var (microseconds, _) = Time(index => device.Memory.CopyOnDevice(memory + (nint)(index % 2 * half), memory + (nint)((2 + (index % 2)) * half), half));
        device.Memory.Free(memory);
        return half * 2 / microseconds / 1e3;
    }

    /// <summary>The largest error, of what one rounding and sums in float32 leave room for.</summary>
    private static double Error(Operand operand, double[] actual)
    {
        var expected = operand.Expected!;
        var largest = Math.Max(1e-3, expected.Max(Math.Abs));
        var worst = 0.0;
        for (var i = 0; i < actual.Length; i++)
        {
            var error = Math.Abs(actual[i] - expected[i]) / (operand.Tolerance * ((Math.Abs(expected[i]) + largest + operand.Rounded) / 2));
            if (!(error <= worst)) worst = error;
        }
        return worst;
    }

    private (double Device, double Host) Time(Action<int> launch)
    {
        for (var i = 0; i < Math.Min(10, launches); i++) launch(i);
        var (first, last) = (device.Memory.CreateEvent(), device.Memory.CreateEvent());
        device.Memory.Record(first);
        device.Memory.Wait(first);
        device.Memory.Record(first);
        var watch = Stopwatch.StartNew();
        for (var i = 0; i < launches; i++) launch(i);
        var host = watch.Elapsed.TotalMicroseconds / launches;
        device.Memory.Record(last);
        device.Memory.Wait(last);
        return (device.Memory.Elapsed(first, last) * 1e3 / launches, host);
    }
}
