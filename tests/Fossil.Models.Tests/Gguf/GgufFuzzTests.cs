using Fossil.Fuzz;
using Fossil.TestData;

namespace Fossil.Models.Tests.Gguf;

/// <summary>Damaged files, always the same ones: each loads, or is a named error, without more memory than the file's size explains.</summary>
public sealed class GgufFuzzTests
{
    [Theory]
    [InlineData("gguf", 1500)]
    [InlineData("tokenizer", 500)]
    [InlineData("config", 1500)]
    [InlineData("jsonl", 500)]
    public void Damaged_files_are_read_or_refused_by_name(string name, int files)
    {
        using var folder = new TemporaryFolder();
        var target = FuzzTarget.All[name];
        var fuzzer = new Fuzzer(target, name == "gguf" ? [.. target.BuiltIn, GgufBytes.Sample().Build()] : target.BuiltIn);
        for (var number = 0; number < files; number++) fuzzer.Try(number, folder["damaged"]);
        Assert.Equal(files, fuzzer.Tried);
        Assert.InRange(fuzzer.Accepted, 1, files - 1);
    }
}
