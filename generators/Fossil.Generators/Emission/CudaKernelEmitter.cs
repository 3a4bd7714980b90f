using Fossil.Cuda;

namespace Fossil.Generators.Emission;

/// <summary>Writes the CUDA kernels of one shard size into the file of its kernels: launch stubs in C#, and CUDA C.</summary>
internal static class CudaKernelEmitter
{
    private const string ScalarType = "global::TorchSharp.torch.ScalarType";

    /// <summary>The launch stubs: what the run time's own class has in this region, members of a class at one level.</summary>
    private static readonly Lazy<string> Stubs = new(() =>
    {
        const string Begin = "    #region Launch stubs\n\n", End = "\n    #endregion\n";
        var text = CudaText.Read("CudaShardStubs.cs");
        var first = text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length;
        var lines = text.Substring(first, text.IndexOf(End, StringComparison.Ordinal) - first).TrimEnd('\n').Split('\n');
        return string.Join("\n", lines.Select(line => line.Length == 0 ? line : line.Substring(4)));
    });

    public static void Emit(IndentedWriter writer, int shardSize)
    {
        var name = ShardKernelNames.CudaClass(shardSize);
        writer.Line();
        writer.Line($"/// <summary>CUDA kernels of shard size {shardSize}: launch stubs, and their source, which the run time compiles for the device where tensors of this shard size first are.</summary>");
        using (writer.Block($"internal sealed class {name} : {GeneratedFile.Kernels}.ICudaShardKernels"))
        {
            EmitConstants(writer, shardSize);
            writer.Line();
            writer.Line("[ModuleInitializer]");
            writer.Line($"internal static void Register() => CudaShardRegistry.Register(new {name}());");
            writer.Line();
            writer.Line($"int {GeneratedFile.Kernels}.ICudaShardKernels.ShardSize => ShardSize;");
            writer.Line();
            using (writer.Block($"public string? Source({ScalarType} elementType)"))
            {
                using (writer.Block("switch (elementType)"))
                {
                    foreach (var element in CudaElement.All) writer.Line($"case {ScalarType}.{element.Name}: return {element.Name} + Kernels{(element.HasTensorCores ? " + TensorCores" : "")};");
                    writer.Line("default: return null;");
                }
            }
            writer.Line();
            writer.Line(Stubs.Value);
            foreach (var element in CudaElement.All) EmitText(writer, element.Name, CudaShardSource.Head(shardSize, element));
            EmitText(writer, "Kernels", CudaShardSource.Body);
            EmitText(writer, "TensorCores", CudaShardSource.TensorCores);
        }
    }

    /// <summary>What the stubs reckon with; the heads of the source have the same.</summary>
    private static void EmitConstants(IndentedWriter writer, int shardSize)
    {
        CudaShardShape floats = new(shardSize, sizeof(float)), halves = new(shardSize, sizeof(ushort));
        writer.Line($"private const int ShardSize = {shardSize};");
        writer.Line();
        writer.Line("// Threads of a block. For few rows: how many there are at most, columns of a tile of y, and rows of a tile of dD.");
        writer.Line($"private const int Threads = {CudaShardShape.Threads}, MostRows = {CudaShardShape.MostRows}, ColumnsOfTile = {CudaShardShape.ColumnsOfTile}, ShardsOfTile = {CudaShardShape.ShardsOfTile};");
        writer.Line();
        writer.Line("// With tensor cores: rows of a block, columns of y, columns of dy that a part of dS is made of, and shards and columns of a tile of dD.");
        writer.Line($"private const int TensorRows = {CudaShardShape.TensorRows}, TensorColumns = {CudaShardShape.TensorColumns}, TensorPart = {CudaShardShape.TensorPart}, TensorShards = {CudaShardShape.TensorShards}, TensorGradient = {CudaShardShape.TensorGradient};");
        writer.Line();
        writer.Line("// For elements of 32 and of 16 bits: vectors of 16 bytes after which the columns fall on the same shards again, and rows of a block of few.");
        writer.Line($"private const int PeriodOfFloats = {floats.Period}, PeriodOfHalves = {halves.Period}, RowsOfFloats = {floats.RowTile}, RowsOfHalves = {halves.RowTile};");
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
