using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Serialization;

public class GoldenAdapterFileTests
{
    public static TheoryData<string, string> Adapters => GoldenCases.AdapterNames();

    [SkippableTheory]
    [MemberData(nameof(Adapters))]
    public void Loading_an_adapter_and_writing_it_again_gives_the_same_bytes(string model, string name)
    {
        var adapter = GoldenCases.Adapter(model, name);
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        var (config, weights) = AdapterFile.OpenFolder(adapter.Folder);
        using (weights) AdapterFile.SaveFolder(folder.Path, config, [.. weights.Names.Select(tensor => (tensor, weights.Load(tensor)))]);
        Assert.Equal(File.ReadAllBytes(adapter.WeightsFile), File.ReadAllBytes(folder[AdapterFile.FileName]));
        Assert.Equal(File.ReadAllBytes(adapter.ConfigFile), File.ReadAllBytes(folder[AdapterConfig.FileName]));
        Assert.Equal(2, Directory.EnumerateFileSystemEntries(folder.Path).Count());
    }

    [SkippableTheory]
    [MemberData(nameof(Adapters))]
    public void The_file_has_the_parameters_that_PEFT_trained(string model, string name)
    {
        var adapter = GoldenCases.Adapter(model, name);
        using var weights = AdapterFile.Open(adapter.Folder);

        // In memory PEFT's names have the adapter's in them, saved modules are wrapped, and the magnitude is a module.
        var inMemory = adapter.TrainableNames
            .Select(parameter => parameter.Replace(".modules_to_save.default", string.Empty).Replace(".default", string.Empty).Replace("_vector.weight", "_vector"));
        Assert.Equal(inMemory.Order(StringComparer.Ordinal), weights.Names.Select(tensor => tensor.ToKey()).Order(StringComparer.Ordinal));

        // PiSSA saved as LoRA for the original base has the factors of before training beside the trained ones.
        var trained = Directory.Exists(Path.Combine(adapter.Folder, "initial")) ? 2 * adapter.TrainableParameters : adapter.TrainableParameters;
        Assert.Equal(trained, weights.Names.Sum(tensor => weights.GetInfo(tensor).Shape.Aggregate(1L, (product, dimension) => product * dimension)));
    }

    [SkippableFact]
    public void A_legacy_Bone_file_has_the_names_and_values_of_MiSS()
    {
        var found = Directory.EnumerateFiles(DataFolders.RequireGolden(), AdapterConfig.FileName, SearchOption.AllDirectories)
            .Select(file => Path.GetDirectoryName(file)!)
            .Where(folder => File.ReadAllText(Path.Combine(folder, AdapterConfig.FileName)).Contains("\"BONE\""));
        foreach (var folder in found)
        {
            using var scope = NewDisposeScope();
            using var legacy = AdapterFile.Open(folder);
            using var current = AdapterFile.Open(Path.Combine(folder, "..", "miss"));
            Assert.Equal(current.Names, legacy.Names);
            foreach (var name in current.Names) Assert.True(current.Load(name).eq(legacy.Load(name)).all().item<bool>(), name.ToString());
        }
    }
}
