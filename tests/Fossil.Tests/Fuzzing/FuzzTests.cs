using Fossil.Fuzz;
using Fossil.TestData;
using Xunit.Abstractions;

namespace Fossil.Tests.Fuzzing;

public class FuzzTests(ITestOutputHelper output)
{
    private const int Files = 1500;

    [Theory]
    [InlineData("safetensors")]
    [InlineData("adapter_config")]
    public void Damaged_files_are_read_or_refused_by_name(string name)
    {
        using var folder = new TemporaryFolder();
        var target = FuzzTarget.All[name];
        var fuzzer = new Fuzzer(target, Fuzzer.Seeds(target, DataFolders.Golden));
        for (var number = 0; number < Files; number++) fuzzer.Try(number, folder[target.Pattern]);
        output.WriteLine($"{fuzzer.Tried} damaged {target.Pattern} files tried, {fuzzer.Accepted} accepted, largest allocation beyond the file's size {fuzzer.LargestAllocation} bytes.");
        Assert.Equal(Files, fuzzer.Tried);
    }

    [Fact]
    public void The_same_number_gives_the_same_file()
    {
        var seeds = Fuzzer.Seeds(FuzzTarget.All["safetensors"], null);
        Assert.Equal(Mutator.Mutate(seeds, new Random(7)), Mutator.Mutate(seeds, new Random(7)));
    }
}
