using Fossil.Models.Gguf;
using Fossil.Models.Tests.Decoder;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Quantised;

/// <summary>Files whose blocks are kept and are not what they should be: errors that name the file and the tensor, when the file is loaded.</summary>
public sealed class DamagedBlocksTests : IDisposable
{
    private const string Damaged = "blk.1.ffn_up.weight";

    private static readonly LlamaConfig Config = TinyModels.Config with { HiddenSize = 256, IntermediateSize = 256, HeadDim = 64 };

    private readonly TemporaryFolder folder = new();

    private string Model => folder["model.gguf"];

    public static TheoryData<GgufTensorType, int> Scales()
    {
        var scales = new TheoryData<GgufTensorType, int>();
        foreach (var type in RandomBlocks.Types.Concat([GgufTensorType.Q4_0, GgufTensorType.Q4_1, GgufTensorType.Q5_0, GgufTensorType.Q5_1, GgufTensorType.Q8_0]))
        {
            foreach (var bits in (int[])[0x7E00, 0x7C00, 0xFC00]) scales.Add(type, bits);
        }

        return scales;
    }

    [Theory, MemberData(nameof(Scales))]
    public void A_scale_that_is_no_number(GgufTensorType type, int bits)
    {
        RandomBlocks.Write(Model, Config, type);
        using (var file = GgufFile.Open(Model))
        {
            // The second row's first block.
            var info = file.GetInfo(Damaged);
            Change(info, (info.ByteCount / info.Shape[0]) + RandomBlocks.ScaleOf(type), (byte)bits, (byte)(bits >> 8));
        }

        foreach (var mapped in (bool[])[true, false])
        {
            var exception = Assert.Throws<GgufException>(() => LlamaForCausalLM.FromGguf(Model, keepQuantized: true, mapped: mapped).Dispose());
            Assert.Equal((GgufError.InvalidBlock, Model), (exception.Error, exception.Path));
            Assert.Contains($"'{Damaged}' has blocks in row 1", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Rows_that_are_no_whole_blocks()
    {
        Write(tensor => tensor.Name == Damaged ? [tensor.Shape[0], tensor.Shape[1] + 8] : tensor.Shape);
        Assert.Equal(GgufError.InvalidShape, Assert.Throws<GgufException>(() => LlamaForCausalLM.FromGguf(Model, keepQuantized: true)).Error);
    }

    [Theory]
    [InlineData(32, 0)]
    [InlineData(0, 32)]
    [InlineData(-32, 0)]
    public void A_matrix_of_another_shape(long rows, long columns)
    {
        Write(tensor => tensor.Name == Damaged ? [tensor.Shape[0] + rows, tensor.Shape[1] + columns] : tensor.Shape);
        Assert.Contains("ffn_up", Assert.Single(Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromGguf(Model, keepQuantized: true)).WrongShapes), StringComparison.Ordinal);
    }

    [Fact]
    public void A_matrix_that_is_missing()
    {
        Write(tensor => tensor.Name == Damaged ? null : tensor.Shape);
        Assert.Equal(["model.layers.1.mlp.up_proj.weight"], Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromGguf(Model, keepQuantized: true)).MissingTensors);
    }

    [Fact]
    public void A_file_that_is_shorter_than_its_header_says()
    {
        RandomBlocks.Write(Model, Config, GgufTensorType.Q4_0);
        var bytes = File.ReadAllBytes(Model);
        File.WriteAllBytes(Model, bytes[..^64]);
        Assert.Equal(GgufError.DataTruncated, Assert.Throws<GgufException>(() => LlamaForCausalLM.FromGguf(Model, keepQuantized: true)).Error);
    }

    [Fact]
    public void What_a_state_dict_brings_in_another_form_is_refused_and_the_same_form_is_copied_into_this_process_alone()
    {
        using var scope = NewDisposeScope();
        RandomBlocks.Write(Model, Config, GgufTensorType.Q4_0, seed: 1);
        RandomBlocks.Write(folder["other.gguf"], Config, GgufTensorType.Q4_0, seed: 2);
        var (model, other, again) = (LlamaForCausalLM.FromGguf(Model, keepQuantized: true), LlamaForCausalLM.FromGguf(folder["other.gguf"], keepQuantized: true), LlamaForCausalLM.FromGguf(Model, keepQuantized: true));
        var tokens = TinyModels.Tokens(1, 9);
        var (before, expected) = (model.forward(tokens), other.forward(tokens));

        using var expanded = LlamaForCausalLM.FromGguf(folder["other.gguf"]);
        Assert.Contains(".weight' is held as BlockWeight", Assert.Throws<WeightNotChangeableException>(() => model.load_state_dict(expanded.state_dict(), strict: false)).Message, StringComparison.Ordinal);
        Assert.True(model.forward(tokens).equal(before).all().item<bool>());

        var file = File.ReadAllBytes(Model);
        model.load_state_dict(other.state_dict());
        Assert.True(model.forward(tokens).equal(expected).all().item<bool>());
        Assert.True(again.forward(tokens).equal(before).all().item<bool>());
        Assert.Equal(file, File.ReadAllBytes(Model));
    }

    public void Dispose() => folder.Dispose();

    /// <summary>Writes the model with other shapes; null leaves a tensor out.</summary>
    private void Write(Func<GgufTensorInfo, IReadOnlyList<long>?> shapeOf)
    {
        var source = folder["source.gguf"];
        RandomBlocks.Write(source, Config, GgufTensorType.Q8_0);
        using var file = GgufFile.Open(source);
        var tensors = file.Tensors.Select(tensor => (Tensor: tensor, Shape: shapeOf(tensor))).Where(entry => entry.Shape is not null);
        GgufWriter.Save(Model, file.Metadata, [.. tensors.Select(entry => new GgufTensorSource(entry.Tensor.Name, entry.Shape![^1] % 32 == 0 ? entry.Tensor.Type : GgufTensorType.F32, entry.Shape, () => ones([.. entry.Shape])))]);
        var odd = tensors.Where(entry => entry.Shape![^1] % 32 != 0).Select(entry => entry.Tensor).ToArray();
        // The writer refuses such rows; a file may have them nevertheless: the type follows the dimensions in the header.
        if (odd is not [var tensor]) return;
        var bytes = File.ReadAllBytes(Model);
        var name = bytes.AsSpan().IndexOf(System.Text.Encoding.UTF8.GetBytes(tensor.Name));
        bytes[name + tensor.Name.Length + sizeof(uint) + (2 * sizeof(ulong))] = (byte)GgufTensorType.Q8_0;
        File.WriteAllBytes(Model, bytes);
    }

    private void Change(GgufTensorInfo info, long at, params byte[] values)
    {
        using var file = GgufFile.Open(Model);
        var dataStart = new FileInfo(Model).Length - file.Tensors.Max(tensor => tensor.Offset + ((tensor.ByteCount + 31) / 32 * 32));
        var bytes = File.ReadAllBytes(Model);
        values.CopyTo(bytes, dataStart + info.Offset + at);
        File.WriteAllBytes(folder["changed"], bytes);
        File.Move(folder["changed"], Model, overwrite: true);
    }
}
