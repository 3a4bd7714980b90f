using Fossil.Cuda;

namespace Fossil.Generators.Emission;

/// <summary>Writes the CUDA C of one shard size into the file of its kernels.</summary>
internal static class CudaSourceEmitter
{
    private const string ScalarType = "global::TorchSharp.torch.ScalarType";

    public static void Emit(IndentedWriter writer, int shardSize)
    {
        var name = ShardKernelNames.CudaClass(shardSize);
        writer.Line();
        writer.Line($"/// <summary>CUDA C of shard size {shardSize}: sums, tiled gradients, and both passes for few rows. The run time compiles it for the device where tensors of this shard size first are.</summary>");
        using (writer.Block($"internal static class {name}"))
        {
            writer.Line("[ModuleInitializer]");
            writer.Line($"internal static void Register() => CudaShardSources.Register({shardSize}, typeof({name}).Assembly, Source);");
            writer.Line();
            using (writer.Block($"private static string? Source({ScalarType} elementType)"))
            {
                using (writer.Block("switch (elementType)"))
                {
                    foreach (var element in CudaElement.All) writer.Line($"case {ScalarType}.{element.Name}: return {element.Name} + Kernels;");
                    writer.Line("default: return null;");
                }
            }
            foreach (var element in CudaElement.All) EmitText(writer, element.Name, CudaShardSource.Head(shardSize, element));
            EmitText(writer, "Kernels", CudaShardSource.Body);
        }
    }

    /// <summary>A constant with the lines of a text, the last one's end included.</summary>
    private static void EmitText(IndentedWriter writer, string name, string text)
    {
        writer.Line();
        writer.Line($"private const string {name} = \"\"\"");
        writer.Line(text);
        writer.Line("\"\"\";");
    }
}
