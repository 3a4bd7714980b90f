using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Serialization;

public class GoldenSafetensorsTests
{
    public static TheoryData<string> Files
    {
        get
        {
            var files = new TheoryData<string>();
            if (DataFolders.Golden is not { } folder) return new TheoryData<string>("(no golden data)");
            foreach (var file in Directory.EnumerateFiles(folder, "*.safetensors", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
            {
                files.Add(Path.GetRelativePath(folder, file));
            }

            return files;
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Files))]
    public void Loading_a_file_and_writing_it_again_gives_the_same_bytes(string name)
    {
        var path = Path.Combine(DataFolders.RequireGolden(), name);
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(path);
        var stream = new MemoryStream();
        SafetensorsWriter.Write(stream, file.Names.Select(tensor => (tensor, file.Load(tensor))), file.Metadata);
        Assert.Equal(File.ReadAllBytes(path), stream.ToArray());
    }

    [SkippableTheory]
    [MemberData(nameof(Files))]
    public void Loading_in_another_dtype_is_loading_and_converting(string name)
    {
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(Path.Combine(DataFolders.RequireGolden(), name));
        foreach (var tensor in file.Names)
        {
            var converted = file.Load(tensor, ScalarType.BFloat16);
            Assert.True(converted.eq(file.Load(tensor).to(ScalarType.BFloat16)).all().item<bool>(), tensor);
        }
    }
}
