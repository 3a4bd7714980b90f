/// <summary>Where the base model lies.</summary>
internal static class SmolModel
{
    private const string FilePath = "SmolLM2-135M-Instruct/SmolLM2-135M-Instruct.Q4_1.gguf";

    /// <summary>The model in the folder that FOSSIL_MODELS names, or in shared/models beside a folder above this program.</summary>
    public static string Find()
    {
        var candidates = new List<string>();
        if (Environment.GetEnvironmentVariable("FOSSIL_MODELS") is { Length: > 0 } named) candidates.Add(Path.Combine(named, FilePath));
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent) candidates.Add(Path.Combine(folder.FullName, "shared", "models", FilePath));
        return candidates.Find(File.Exists) ?? throw new FileNotFoundException($"There is no {FilePath} in FOSSIL_MODELS or in shared/models. Name the file with --model.");
    }
}
