using Fossil.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Cuda;

/// <summary>The back end of CUDA devices. It looks for driver and compiler when the first operands lie on such a device, and not before.</summary>
internal static class CudaKernels
{
    /// <summary>Registers it.</summary>
    /// <param name="runtime">Devices.</param>
    /// <param name="device">What operands lie on; tests have it work on the memory of the CPU.</param>
    /// <param name="size">The shard size, or what an operation says of its size, for tests; null for all.</param>
    public static void Register(CudaRuntime runtime, DeviceType device = DeviceType.CUDA, long? size = null)
    {
        var scratch = new CudaScratch();
        var shards = new CudaShardKernels(runtime, scratch);
        KernelRegistry.Register<IShardSum>(shards, device, size: size);
        KernelRegistry.Register<ITiledAdd>(shards, device, size: size);
        KernelRegistry.Register<IFewRowsProduct>(shards, device, size: size);
        KernelRegistry.Register<IShardStep>(shards, device, size: size);
        KernelRegistry.Register<IMixedRows>(shards, device, size: size);
        var products = new CudaProducts(runtime);
        KernelRegistry.Register<IShardProduct>(products, device, size: size);
        KernelRegistry.Register<ISumGradient>(products, device, size: size);
        KernelRegistry.Register<IShardGradient>(products, device, size: size);
        var optimizer = new CudaOptimizerKernels(runtime, scratch);
        KernelRegistry.Register<IAdamW>(optimizer, device, size: size);
        KernelRegistry.Register<ISquaredNorm>(optimizer, device, size: size);
        KernelRegistry.Register<IDropoutMask>(new CudaDropoutMask(runtime), device, size: size);
        KernelRegistry.Register<IUpload>(new CudaUpload(runtime), device, size: size);
    }

    /// <summary>Registers the kernels for weights that are held as blocks or codes; the size is a weight's width.</summary>
    /// <inheritdoc cref="Register" path="/param"/>
    public static void RegisterEncoded(CudaRuntime runtime, DeviceType device = DeviceType.CUDA, long? size = null) => KernelRegistry.Register<IEncodedProduct>(new CudaEncodedKernels(runtime), device, size: size);

    /// <summary>Registers the kernels of decoders.</summary>
    /// <inheritdoc cref="Register" path="/param"/>
    public static void RegisterDecoders(CudaRuntime runtime, DeviceType device = DeviceType.CUDA, long? size = null)
    {
        var scratch = new CudaScratch();
        foreach (var element in CudaElement.All)
        {
            var elementType = Enum.Parse<ScalarType>(element.Name);
            KernelRegistry.Register<IRmsNorm>(new CudaRmsNorm(runtime, element, scratch), device, elementType, size);
            KernelRegistry.Register<IRotary>(new CudaRotary(runtime, element), device, elementType, size);
            KernelRegistry.Register<IGate>(new CudaSiluGate(runtime, element), device, elementType, size);
            KernelRegistry.Register<IGeluGate>(new CudaGeluGate(runtime, element), device, elementType, size);
            KernelRegistry.Register<ICrossEntropy>(new CudaCrossEntropy(runtime, element), device, elementType, size);
        }
    }
}
