using Fossil;

/// <summary>A way to adapt the model.</summary>
/// <param name="Key">Its name on the command line.</param>
/// <param name="Title">Its name in the table.</param>
/// <param name="Config">Its adapter; null for the base model alone.</param>
/// <param name="Peft">What PEFT 0.21.2 made of the same problems, one seed; null where it was not run.</param>
internal sealed record Method(string Key, string Title, AdapterConfig? Config, PeftResult? Peft);

/// <summary>PEFT's own result with the same model, data and hyper-parameters.</summary>
internal sealed record PeftResult(double? LastLoss, double ScorePercent, double HamletPerplexity, double? InitSeconds);

/// <summary>The methods of the comparison, at (nearly) equal parameter counts, Mini apart.</summary>
internal static class Methods
{
    private static readonly string[] Projections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    public static IReadOnlyList<Method> All { get; } =
    [
        new("base", "base", null, new(null, 0.0, 47.4, null)),
        new("balance", "FOSSIL Balance r=32", Fossil(32), new(0.454, 50.0, 83.0, 0.09)),
        new("mini", "FOSSIL Mini r=64", Fossil(64, FossilVariant.Mini), new(0.507, 53.0, 60.4, 0.12)),
        new("bat", "FOSSIL Bat r=32", Fossil(32, FossilVariant.Bat), new(0.649, 42.0, 223.1, 0.08)),
        new("lora", "LoRA r=16, α=32", Lora(32), new(0.501, 48.5, 52.4, 0.21)),
        new("rslora", "rsLoRA r=16, α=32", Lora(32) with { UseRslora = true }, null),
        new("dora", "DoRA r=16, α=32", Lora(32) with { UseDora = true }, new(0.489, 49.0, 50.8, 0.31)),
        new("pissa", "PiSSA r=16, α=16", Lora(16) with { InitLoraWeights = LoraInitialization.Pissa }, new(0.410, 57.5, 106.2, 11.1)),
    ];

    public static Method Find(string key) =>
        All.FirstOrDefault(method => method.Key == key) ?? throw new ArgumentException($"There is no method '{key}'. There are: {string.Join(", ", All.Select(method => method.Key))}.");

    private static FossilConfig Fossil(int shardSize, FossilVariant variant = FossilVariant.Balance) =>
        new() { TargetModules = Projections, ShardSize = shardSize, Variant = variant, MiniSize = 64, TaskType = "CAUSAL_LM" };

    private static LoraConfig Lora(double alpha) => new() { TargetModules = Projections, Rank = 16, Alpha = alpha, TaskType = "CAUSAL_LM" };
}
