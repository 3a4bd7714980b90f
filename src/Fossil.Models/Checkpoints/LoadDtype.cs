using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>
/// The dtype that a model is loaded in, as transformers takes it: one of libtorch's, or its name as <c>config.json</c> has it (<c>"bfloat16"</c>, <c>"float16"</c>, <c>"half"</c>, also <c>"torch.bfloat16"</c>),
/// or <c>"auto"</c>: the checkpoint's own. Made by assigning one of these.
/// </summary>
public readonly record struct LoadDtype
{
    private const string AutoName = "auto";

    private readonly ScalarType? dtype;
    private readonly string? name;

    private LoadDtype(ScalarType? dtype, string? name) => (this.dtype, this.name) = (dtype, name);

    /// <summary>The dtype that <c>config.json</c> names, or where it names none that of the first tensor. float32 for GGUF files, which are dequantised.</summary>
    public static LoadDtype Auto { get; } = new(null, AutoName);

    /// <summary>Whether it is the checkpoint's own.</summary>
    public bool IsAuto => name == AutoName;

    /// <summary>A dtype of libtorch's.</summary>
    public static implicit operator LoadDtype(ScalarType dtype) => new(dtype, null);

    /// <summary>A dtype by its name.</summary>
    public static implicit operator LoadDtype(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return new(null, name);
    }

    /// <inheritdoc/>
    public override string ToString() => name ?? dtype?.ToString() ?? nameof(ScalarType.Float32);

    /// <summary>The dtype that is meant.</summary>
    /// <param name="own">The checkpoint's own.</param>
    /// <exception cref="ArgumentException">No model computes in it.</exception>
    internal ScalarType Resolve(Func<ScalarType> own)
    {
        if (IsAuto) return own();
        var meant = name is null ? dtype ?? ScalarType.Float32 : TorchDtypes.Find(name);
        return meant is { } found && TorchDtypes.NameOf(found) is not null ? found : throw new ArgumentException($"No model is loaded as '{this}'. There are {TorchDtypes.Names}, and \"{AutoName}\" for the checkpoint's own.", nameof(dtype));
    }
}
