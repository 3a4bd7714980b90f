using Fossil.Serialization;
using Fossil.TestData;

namespace Fossil.Tests.Configuration;

public class GoldenTargetSelectorTests
{
    private const string Prefix = "base_model.model.";

    public static TheoryData<string, string> Adapters => GoldenCases.AdapterNames();

    [SkippableTheory]
    [MemberData(nameof(Adapters))]
    public void The_configuration_chooses_the_modules_that_PEFT_trained(string model, string name)
    {
        var adapter = GoldenCases.Adapter(model, name);
        var config = adapter.Config();
        using var weights = SafetensorsFile.Open(Path.Combine(adapter.ModelFolder, "model.safetensors"));
        const string Weight = ".weight";
        var modules = weights.Names
            .Where(tensor => tensor.EndsWith(Weight, StringComparison.Ordinal))
            .Select(tensor => new SelectableModule(
                tensor[..^Weight.Length],
                weights.GetInfo(tensor).Shape.Count == 2 && !tensor.Contains("embed"),
                tensor.StartsWith("lm_head", StringComparison.Ordinal),
                false))
            .ToList();

        var chosen = TargetSelector.Select(config, modules).Order(StringComparer.Ordinal);
        var saved = TargetSelector.SelectModulesToSave(config, modules.Select(module => module.Path));
        Assert.Equal(adapter.TrainableNames.Where(parameter => !parameter.Contains(".modules_to_save.")).Select(ModuleOf).Distinct().Order(StringComparer.Ordinal), chosen);
        Assert.Equal(adapter.TrainableNames.Where(parameter => parameter.Contains(".modules_to_save.")).Select(ModuleOf).Distinct(), saved);
    }

    [SkippableTheory]
    [MemberData(nameof(Adapters))]
    public void The_patterns_give_the_ranks_that_PEFT_trained(string model, string name)
    {
        var adapter = GoldenCases.Adapter(model, name);
        if (adapter.Config() is not LoraConfig config) return;
        using var weights = SafetensorsFile.Open(adapter.WeightsFile);
        foreach (var tensor in weights.Names.Where(tensor => tensor.EndsWith(".lora_A.weight", StringComparison.Ordinal)))
        {
            Assert.Equal(weights.GetInfo(tensor).Shape[0], TargetSelector.PatternValue(config.RankPattern, ModuleOf(tensor), config.Rank));
        }
    }

    private static string ModuleOf(string parameter)
    {
        var end = new[] { ".miss_block", ".lora_", ".modules_to_save" }.Select(part => parameter.IndexOf(part, StringComparison.Ordinal)).Where(index => index > 0).Min();
        return parameter[Prefix.Length..end];
    }
}
