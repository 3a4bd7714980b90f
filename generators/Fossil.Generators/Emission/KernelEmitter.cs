using Fossil.CodeModel;
using Fossil.Cuda;
using Microsoft.CodeAnalysis.Text;

namespace Fossil.Generators.Emission;

/// <summary>Writes the kernels of one shard size: launch stubs, and row loops for each element type and vector width.</summary>
internal static class KernelEmitter
{
    /// <summary>Vector widths in bits, the widest first: the hardware takes the first one that it has.</summary>
    private static readonly int[] VectorBits = [512, 256, 128];

    public static SourceText Emit(int shardSize)
    {
        var name = ShardKernelNames.Class(shardSize);
        var writer = GeneratedFile.Begin($"Kernels with the shard size {shardSize} as a constant: for tensors in the memory of the CPU, and as CUDA C.");
        using (writer.Block($"namespace {WellKnownNames.GeneratedNamespace}"))
        {
            // Inside the namespace they come before whatever the consumer has in the global one; a class may well be called nint or nuint there.
            writer.Line("using global::Fossil.CompilerServices;");
            writer.Line("using global::System.Runtime.CompilerServices;");
            writer.Line("using global::System.Runtime.Intrinsics;");
            writer.Line("using nint = global::System.IntPtr;");
            writer.Line("using nuint = global::System.UIntPtr;");
            writer.Line();
            EmitClass(writer, name, shardSize);
            if (shardSize <= CudaShardShape.LargestShardSize) CudaKernelEmitter.Emit(writer, shardSize);
        }
        return writer.ToSourceText();
    }

    private static void EmitClass(IndentedWriter writer, string name, int shardSize)
    {
        writer.Line($"/// <summary>The shard sum and the tiled gradient for shard size {shardSize}.</summary>");
        using (writer.Block($"internal sealed class {name} : {GeneratedFile.Kernels}.IShardKernels"))
        {
            writer.Line($"private const int ShardSize = {shardSize};");
            writer.Line();
            writer.Line("/// <summary>Runs before any other code of the assembly: the run time finds kernels by their shard size, whichever assembly has them.</summary>");
            writer.Line("[ModuleInitializer]");
            writer.Line($"internal static void Register() => ShardKernelRegistry.Register(new {name}());");
            writer.Line();
            writer.Line($"int {GeneratedFile.Kernels}.IShardKernels.ShardSize => ShardSize;");
            EmitSumStub(writer);
            EmitAddStub(writer);
            foreach (var element in KernelElement.All)
            {
                EmitRowKernel(writer, element, $"ShardSumOf{element.Name}", "input", "sum", written: "sum", "SumRow");
                EmitRowKernel(writer, element, $"AddTiledTo{element.Name}", "inputGradient", "shardGradient", written: "inputGradient", "AddRow");
                foreach (var bits in VectorBits)
                {
                    var shape = new KernelShape(shardSize, bits);
                    ShardSumEmitter.Emit(writer, element, shape);
                    AddTiledEmitter.Emit(writer, element, shape);
                }
            }
        }
    }

    private static void EmitSumStub(IndentedWriter writer) => EmitStub(
        writer, "Launch stub of the shard sum: sum[n, j] = Σ_i input[n, i·ShardSize + j]", "TryShardSum", ["input", "sum"], wide: "input", narrow: "sum", written: "s", kernel: "ShardSumOf");

    private static void EmitAddStub(IndentedWriter writer) => EmitStub(
        writer, "Launch stub of the tiled gradient: inputGradient[n, c] += shardGradient[n, c mod ShardSize]", "TryAddTiled", ["shardGradient", "inputGradient"], wide: "inputGradient", narrow: "shardGradient", written: "x", kernel: "AddTiledTo");

    private static void EmitStub(IndentedWriter writer, string summary, string method, string[] parameters, string wide, string narrow, string written, string kernel)
    {
        writer.Line();
        writer.Line($"/// <summary>{summary}; false where no kernel of this set fits.</summary>");
        using (writer.Block($"bool {GeneratedFile.Kernels}.IShardKernels.{method}({string.Join(", ", parameters.Select(parameter => $"{GeneratedFile.Tensor} {parameter}"))})"))
        {
            EmitOpen(writer, wide, narrow);
            writer.Line($"if (x.Rows != s.Rows || s.Columns != ShardSize || s.ElementType != global::TorchSharp.torch.ScalarType.Float32 || {written}.RowsOverlap) return false;");
            EmitLaunch(writer, kernel, wide, narrow);
        }
    }

    private static void EmitOpen(IndentedWriter writer, string wide, string narrow)
    {
        writer.Line($"if (!KernelMatrix.TryOpen({wide}, out KernelMatrix x) || !KernelMatrix.TryOpen({narrow}, out KernelMatrix s)) return false;");
    }

    private static void EmitLaunch(IndentedWriter writer, string kernel, string wide, string narrow)
    {
        using (writer.Block("switch (x.ElementType)"))
        {
            foreach (var element in KernelElement.All)
            {
                writer.Line($"case global::TorchSharp.torch.ScalarType.{element.Name}:");
                writer.Line($"    KernelRows.Run(x.Rows, x.Columns, new {kernel}{element.Name}(x, s));");
                writer.Line("    break;");
            }
            writer.Line("default:");
            writer.Line("    return false;");
        }
        writer.Line("// The kernel works on their memory, so they must not be collected before it is done.");
        writer.Line($"global::System.GC.KeepAlive({wide});");
        writer.Line($"global::System.GC.KeepAlive({narrow});");
        writer.Line("return true;");
    }

    private static void EmitRowKernel(IndentedWriter writer, KernelElement element, string name, string wide, string narrow, string written, string rowMethod)
    {
        writer.Line();
        writer.Line("/// <summary>The rows that one thread takes; each row goes to the widest vectors that the hardware has.</summary>");
        using (writer.Block($"private readonly struct {name} : IRowKernel"))
        {
            writer.Line($"private readonly KernelMatrix {wide};");
            writer.Line($"private readonly KernelMatrix {narrow};");
            writer.Line();
            using (writer.Block($"public {name}(KernelMatrix {wide}, KernelMatrix {narrow})"))
            {
                writer.Line($"this.{wide} = {wide};");
                writer.Line($"this.{narrow} = {narrow};");
            }
            writer.Line();
            using (writer.Block("public void Run(long first, long end)"))
            {
                writer.Line($"nuint columns = (nuint){wide}.Columns;");
                using (writer.Block("for (long row = first; row < end; row++)"))
                {
                    writer.Line($"ref {element.ClrType} x = ref {wide}.Row<{element.ClrType}>(row);");
                    writer.Line($"ref float s = ref {narrow}.Row<float>(row);");
                    writer.Line($"if (Vector512.IsHardwareAccelerated) {rowMethod}512(ref x, ref s, columns);");
                    writer.Line($"else if (Vector256.IsHardwareAccelerated) {rowMethod}256(ref x, ref s, columns);");
                    writer.Line($"else {rowMethod}128(ref x, ref s, columns);");
                }
            }
            writer.Line();
            writer.Line($"public void DeclareWrites(long row, KernelWrites writes) => writes.Add({written}, row);");
        }
    }
}
