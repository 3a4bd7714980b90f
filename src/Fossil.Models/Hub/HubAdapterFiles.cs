using Fossil.Adapters;
using Fossil.Serialization;

namespace Fossil.Models.Hub;

/// <summary>What loading an adapter takes: configuration, weights, and what its method keeps beside them.</summary>
internal sealed class HubAdapterFiles : HubFileSet
{
    private const string Pickle = "adapter_model.bin";

    /// <param name="subfolder">The folder in the repository; null for its root.</param>
    /// <exception cref="HubException">It leads elsewhere.</exception>
    public HubAdapterFiles(string? subfolder) => Folder = string.IsNullOrEmpty(subfolder) ? string.Empty : HubCache.CheckFileName(subfolder.TrimEnd('/'));

    /// <summary>The folder in the repository; empty for its root.</summary>
    public string Folder { get; }

    public override IEnumerable<string> Needed(string id, IReadOnlyList<string> files)
    {
        foreach (var required in (string[])[AdapterConfig.FileName, AdapterFile.FileName])
        {
            if (!files.Contains(In(required))) throw new HubException(HubError.FileNotFound, $"{Describe(id)} has no {required}, so it is no adapter{Advice(files)}.");
        }

        return files.Where(file => file == In(AdapterConfig.FileName) || file == In(AdapterFile.FileName) || AdapterMethods.All.SelectMany(method => method.FileNames).Any(name => file == In(name)));
    }

    public override bool IsComplete(HubCache cache, string commit) => cache.FindFile(commit, In(AdapterConfig.FileName)) is not null && cache.FindFile(commit, In(AdapterFile.FileName)) is not null;

    public override string Describe(string id) => Folder.Length == 0 ? id : $"'{Folder}' of {id}";

    private string In(string name) => Folder.Length == 0 ? name : $"{Folder}/{name}";

    private string Advice(IReadOnlyList<string> files)
    {
        if (files.Contains(In(Pickle))) return $" that can be read: {Pickle} is a pickle, which can run code. Have PEFT save it again, as safetensors";
        string[] folders = [.. files.Where(file => Path.GetFileName(file) == AdapterConfig.FileName).Select(file => Path.GetDirectoryName(file)!.Replace('\\', '/')).Where(folder => folder != Folder)];
        if (folders.Length > 0) return $". It has adapters in other folders, of which one can be named (subfolder): {string.Join(", ", folders.Take(20).Select(folder => folder.Length == 0 ? "the root" : folder))}{(folders.Length > 20 ? ", …" : "")}";
        return files.Contains(In(CausalLMConfig.FileName)) ? ". It is a model: load it with FromHubAsync" : string.Empty;
    }
}
