using System.Runtime.Intrinsics;
using TorchSharp;
using static TorchSharp.torch;

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
        Add<IDropoutMask>(new DropoutMaskKernel());
        Add<IAdamW>(new AdamWKernel());
        Add<ISquaredNorm>(new SquaredNormKernel());
        AddFor<float>(ScalarType.Float32);
        AddFor<ushort>(ScalarType.BFloat16);
        // In float32 the whole row is summed as libtorch sums it.
        KernelRegistry.Register<IRunningSoftmax>(new RunningSoftmaxKernel<ushort>(), DeviceType.CPU, ScalarType.BFloat16);
        if (!Vector512.IsHardwareAccelerated) return;

        var products = new ShardProducts();
        Add<IShardProduct>(products);
        Add<ISumGradient>(products);
        Add<IShardGradient>(products);
        Add<IFewRowsProduct>(products);
        Add<IGainedSum>(new GainedSum());
        if (BFloat16Blocks.IsSupported)
        {
            Add<IRoundedProduct>(new RoundedProduct());
            Add<IChangedBlocks>(new ChangedBlocks());
        }

        Add<IChangedNorms>(new ChangedNorms());
        if (TiledWeightProduct.IsSupported) KernelRegistry.Register<ITiledWeightProduct>(new TiledWeightProduct(), DeviceType.CPU, ScalarType.Float32);
        KernelRegistry.Register<IOneRowProduct>(new OneRowProduct(), DeviceType.CPU, ScalarType.BFloat16);
        KernelRegistry.Register<IAttention>(new AttentionKernel<float>(), DeviceType.CPU, ScalarType.Float32);
        KernelRegistry.Register<IAttention>(new AttentionKernel<ushort>(BFloat16Blocks.IsSupported), DeviceType.CPU, ScalarType.BFloat16);

        static void Add<TKernel>(TKernel kernel) where TKernel : class => KernelRegistry.Register(kernel, DeviceType.CPU);

        static void AddFor<T>(ScalarType elementType) where T : unmanaged
        {
            KernelRegistry.Register<IRmsNorm>(new RmsNormKernel<T>(), DeviceType.CPU, elementType);
            KernelRegistry.Register<IRotary>(new RotaryKernel<T>(), DeviceType.CPU, elementType);
            KernelRegistry.Register<IGate>(new GateKernel<T>(), DeviceType.CPU, elementType);
            KernelRegistry.Register<ICrossEntropy>(new CrossEntropyKernel<T>(), DeviceType.CPU, elementType);
        }
    }
}
