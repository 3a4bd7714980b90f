using Fossil.CodeModel;
using Microsoft.CodeAnalysis.Text;

namespace Fossil.Generators.Emission;

/// <summary>
/// Writes the declaration of the kernels of one shard size: what the parts of annotated classes name. It stands apart from the code of the
/// kernels, which an editor does not ask for, so that no generated file names a class that is missing while typing.
/// </summary>
internal static class KernelDeclarationEmitter
{
    public static SourceText Emit(int shardSize)
    {
        var name = ShardKernelNames.Class(shardSize);
        var interfaceName = $"{GeneratedFile.Kernels}.IShardKernels";
        var writer = GeneratedFile.Begin($"Declares the kernels for shard size {shardSize}; their code is in {ShardKernelNames.CodeFile(shardSize)}.");
        using (writer.Block($"namespace {WellKnownNames.GeneratedNamespace}"))
        {
            writer.Line($"/// <summary>Kernels with the shard size {shardSize} as a constant.</summary>");
            using (writer.Block($"internal sealed partial class {name}"))
            {
                writer.Line("/// <summary>The kernels; null only in an editor, which leaves their code out.</summary>");
                writer.Line($"public static {interfaceName}? Instance {{ get; }} = Create();");
                writer.Line();
                using (writer.Block($"private static {interfaceName}? Create()"))
                {
                    writer.Line($"{interfaceName}? kernels = null;");
                    writer.Line("Implement(ref kernels);");
                    writer.Line("return kernels;");
                }
                writer.Line();
                writer.Line($"static partial void Implement(ref {interfaceName}? kernels);");
            }
        }
        return writer.ToSourceText();
    }
}
