using Fossil.Models.Gguf;
using Fossil.Models.Tests.Decoder;
using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Gguf;

/// <summary>A model in several GGUF files, as gguf-py writes them.</summary>
public sealed class GoldenQuantisedSplitTests : IDisposable
{
    private const double LogitTolerance = 1e-4;

    private readonly TemporaryFolder folder = new();

    [SkippableFact]
    public void Any_part_names_the_whole_model()
    {
        using var scope = NewDisposeScope();
        using var reference = SafetensorsFile.Open(Path.Combine(DataFolders.RequireGolden(), "models", "llama", "reference.safetensors"));
        foreach (var part in GoldenQuantisedCases.SplitFiles())
        {
            using var noGrad = no_grad();
            using var model = LlamaForCausalLM.FromGguf(part);
            var logits = model.forward(reference.Load("input_ids"));
            Assert.InRange(GoldenDecoderTests.Largest(logits, reference.Load("logits")), 0, LogitTolerance);
        }
    }

    [SkippableFact]
    public void A_model_that_is_saved_again_is_one_file()
    {
        var parts = GoldenQuantisedCases.SplitFiles();
        using (var model = LlamaForCausalLM.FromGguf(parts[0]))
        using (var file = GgufFile.Open(parts[1])) model.SaveGguf(folder["whole.gguf"], GgufTensorType.F32, metadata: file.Metadata);
        using var whole = GgufFile.Open(folder["whole.gguf"]);
        using var split = GgufFile.Open(parts[0]);
        Assert.Equal(split.Tensors.Select(tensor => tensor.Name).Order(), whole.Tensors.Select(tensor => tensor.Name).Order());
        Assert.DoesNotContain(whole.Metadata, pair => pair.Key.StartsWith("split.", StringComparison.Ordinal));
    }

    [SkippableFact]
    public void A_missing_part_is_a_named_error()
    {
        var copies = Copy();
        File.Delete(copies[2]);
        var exception = Refused(GgufError.MissingPart, copies[0]);
        Assert.Contains(Path.GetFileName(copies[2]), exception.Message, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void A_part_without_its_name_is_a_named_error()
    {
        var copies = Copy();
        File.Move(copies[0], folder["model.gguf"]);
        var exception = Refused(GgufError.MixedParts, folder["model.gguf"]);
        Assert.Contains("-00001-of-00003.gguf", exception.Message, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Parts_in_the_wrong_order_are_a_named_error()
    {
        var copies = Copy();
        File.Copy(copies[1], copies[2], overwrite: true);
        Refused(GgufError.MixedParts, copies[0]);
    }

    [SkippableFact]
    public void Parts_of_another_model_are_a_named_error()
    {
        var copies = Copy();
        static byte[] U16(ushort value) => BitConverter.GetBytes(value);
        File.WriteAllBytes(copies[2], new GgufBytes()
            .Key("split.no", GgufValueType.UInt16, U16(2)).Key("split.count", GgufValueType.UInt16, U16(3))
            .Tensor("output.weight", GgufTensorType.F32, [64, 256], new byte[64 * 256 * 4]).Build());
        Refused(GgufError.MixedParts, copies[0]);
    }

    public void Dispose() => folder.Dispose();

    private static GgufException Refused(GgufError expected, string path)
    {
        var exception = Assert.Throws<GgufException>(() => GgufFile.Open(path).Dispose());
        Assert.Equal(expected, exception.Error);
        return exception;
    }

    private string[] Copy() => [.. GoldenQuantisedCases.SplitFiles().Select(part =>
    {
        var copy = folder[Path.GetFileName(part)];
        File.Copy(part, copy);
        return copy;
    })];
}
