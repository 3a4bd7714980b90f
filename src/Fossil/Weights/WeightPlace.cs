using System.Runtime.CompilerServices;
using Fossil.Targets;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>A parameter or buffer by the module that has it: <c>.to</c> and ties put others there.</summary>
/// <param name="Owner">The module.</param>
/// <param name="Name">The name that it is registered under.</param>
internal readonly record struct WeightPlace(NamedModule Owner, string Name)
{
    /// <summary>The module's path in the model, by the names in the source.</summary>
    public string Path => Owner.Path;

    /// <summary>The module.</summary>
    public nn.Module Module => Owner.Module;

    /// <summary>The name in the model, by the names in the source.</summary>
    public string FullName => NamedModule.Join(Path, MemberNames.Written(Name));

    /// <summary>Whether it is the same parameter of the same module.</summary>
    public bool Equals(WeightPlace other) => Module == other.Module && Name == other.Name;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(RuntimeHelpers.GetHashCode(Module), Name);

    /// <summary>Whether <see cref="Put"/> can put another parameter there.</summary>
    public bool CanPut => Module is Linear or LinearLayer or Embedding && Name is BaseWeight.Name or BaseWeight.BiasName && Module.get_parameter(Name) is not null;

    /// <summary>What is there now; null where it is gone.</summary>
    public Tensor? Find()
    {
        var tensor = Name == BaseWeight.Name ? BaseWeight.Find(Module) : (Tensor?)Module.get_parameter(Name) ?? Module.get_buffer(Name);
        return tensor is { IsInvalid: false } ? tensor : null;
    }

    /// <summary>Puts a parameter there. The one that was there lives on: another module may have it too.</summary>
    public void Put(Parameter parameter)
    {
        switch (Module)
        {
            // The setters dispose what they replace.
            case Linear linear when Name == BaseWeight.Name:
                WeightOf(linear) = null;
                linear.weight = parameter;
                break;
            case Linear linear:
                BiasOf(linear) = null;
                linear.bias = parameter;
                break;
            case LinearLayer layer:
                layer.Put(Name, parameter);
                break;
            case Embedding embedding:
                embedding.weight = parameter;
                break;
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_weight")]
    private static extern ref Parameter? WeightOf(Linear linear);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_bias")]
    private static extern ref Parameter? BiasOf(Linear linear);
}
