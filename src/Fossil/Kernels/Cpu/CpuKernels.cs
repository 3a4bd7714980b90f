using System.Runtime.Intrinsics;
using TorchSharp;

namespace Fossil.Kernels.Cpu;

/// <summary>The back end of the CPU: the kernels of this folder, and those that were generated.</summary>
internal static class CpuKernels
{
    public static void Register()
    {
        var generated = new GeneratedKernels();
        // Their launch stubs look at the device themselves.
        KernelRegistry.Register<IShardSum>(generated, device: null);
        KernelRegistry.Register<ITiledAdd>(generated, device: null);
        Add<IRoundedAdd>(new RoundedAdd());
        Add<IAdamW>(new AdamWKernel());
        Add<ISquaredNorm>(new SquaredNormKernel());
        if (!Vector512.IsHardwareAccelerated) return;

        var products = new ShardProducts();
        Add<IShardProduct>(products);
        Add<ISumGradient>(products);
        Add<IShardGradient>(products);
        Add<IFewRowsProduct>(products);
        Add<IOneRowProduct>(new OneRowProduct());

        static void Add<TKernel>(TKernel kernel) where TKernel : class => KernelRegistry.Register(kernel, DeviceType.CPU);
    }
}
