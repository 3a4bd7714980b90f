using System.Runtime.CompilerServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>
/// The only place that creates, finds and removes adapter parameters, and the buffers beside them. They are registered on the annotated module, not on the
/// target, because <c>Linear.to</c> moves only weight and bias. <c>.to</c> puts new Parameters and buffers into the registry, so nothing else keeps a reference.
/// </summary>
internal static class AdapterParameterStore
{
    /// <summary>Registers a new parameter with the values of <paramref name="initial"/> (taken over) on <paramref name="owner"/>.</summary>
    public static Parameter Create(nn.Module owner, string name, Tensor initial, bool trainable)
    {
        // Created inside a user's dispose scope it would die with it, and vanish from named_parameters silently.
        var parameter = new Parameter(initial, trainable);
        parameter.DetachFromDisposeScope();
        owner.register_parameter(name, parameter);
        return parameter;
    }

    /// <summary>The parameter that is registered now.</summary>
    /// <exception cref="AdapterStateException">It is gone or disposed.</exception>
    public static Parameter Get(nn.Module owner, string name)
    {
        var parameter = owner.get_parameter(name);
        if (parameter is null || parameter.IsInvalid)
            throw new AdapterStateException($"The adapter parameter '{name}' of {owner.GetName()} is gone: it was disposed or removed from outside. Attach the adapters again.");
        return parameter;
    }

    /// <summary>Unregisters and disposes the parameter.</summary>
    public static void Remove(nn.Module owner, string name)
    {
        var parameter = owner.get_parameter(name);
        if (parameter is null) return;
        Register(owner, name, null);
        parameter.Dispose();
    }

    /// <summary>Registers a buffer with a float32 copy of <paramref name="values"/>, or puts them into the one that is registered.</summary>
    public static void SetBuffer(nn.Module owner, string name, Tensor values, Device device)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        if (FindBuffer(owner, name) is { } existing) existing.copy_(values);
        else owner.register_buffer(name, values.to(ScalarType.Float32, device, copy: true).contiguous().DetachFromDisposeScope());
    }

    /// <summary>The buffer that is registered now; null where there is none.</summary>
    public static Tensor? FindBuffer(nn.Module owner, string name) => owner.get_buffer(name) is { IsInvalid: false } buffer ? buffer : null;

    /// <summary>Unregisters and disposes the buffer.</summary>
    public static void RemoveBuffer(nn.Module owner, string name)
    {
        if (owner.get_buffer(name) is not { } buffer) return;
        RegisterBuffer(owner, name, null, persistent: true);
        buffer.Dispose();
    }

    // With null these take the name out of the registry; TorchSharp offers that only to subclasses.
    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "ConditionallyRegisterParameter")]
    private static extern void Register(nn.Module module, string name, Parameter? value);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "ConditionallyRegisterBuffer")]
    private static extern void RegisterBuffer(nn.Module module, string name, Tensor? value, bool persistent);
}
