using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>The dtypes that models compute in, by PyTorch's names.</summary>
internal static class TorchDtypes
{
    private const string Module = "torch.";

    private static readonly (ScalarType Dtype, string Name, string Alias)[] Table =
    [
        (ScalarType.Float32, "float32", "float"),
        (ScalarType.BFloat16, "bfloat16", "bfloat16"),
        (ScalarType.Float16, "float16", "half"),
        (ScalarType.Float64, "float64", "double"),
    ];

    /// <summary>All names, for messages.</summary>
    public static string Names => string.Join(", ", Table.Select(row => row.Name));

    /// <summary>The dtype of that name; null where no model computes in it, or there is none.</summary>
    public static ScalarType? Find(string name)
    {
        var bare = name.StartsWith(Module, StringComparison.Ordinal) ? name[Module.Length..] : name;
        return Array.FindIndex(Table, row => row.Name == bare || row.Alias == bare) is >= 0 and var i ? Table[i].Dtype : null;
    }

    /// <summary>The name of a dtype; null where no model computes in it.</summary>
    public static string? NameOf(ScalarType dtype) => Array.Find(Table, row => row.Dtype == dtype).Name;

    /// <summary>The dtype that a configuration names (<c>dtype</c>, or in older ones <c>torch_dtype</c>); null where it names none.</summary>
    /// <exception cref="CheckpointException">It is none that a model computes in.</exception>
    public static ScalarType? Stated(ModelConfigReader config) => config.Name("dtype") is { } now ? Parse(config, "dtype", now) : config.Name("torch_dtype") is { } earlier ? Parse(config, "torch_dtype", earlier) : null;

    private static ScalarType Parse(ModelConfigReader config, string field, string name) =>
        Find(name) ?? throw config.Error($"has {field} \"{name}\", in which no model computes; name one with which to load it ({Names})");
}
