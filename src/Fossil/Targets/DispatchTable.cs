using System.Runtime.CompilerServices;
using Fossil.Adapters;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>Finds the adapters of a module by the module's identity. Interceptors ask it at every call that could reach a target.</summary>
internal static class DispatchTable
{
    // Weak keys: a model that is dropped without being disposed takes its entries along.
    private static readonly ConditionalWeakTable<nn.Module, AdaptedTarget> Targets = [];

    // Programs that call annotated code without any adapter pay one read of this.
    private static volatile int count;

    /// <summary>The adapted target that <paramref name="module"/> is, if it is one.</summary>
    public static AdaptedTarget? Find(nn.Module module) =>
        count != 0 && Targets.TryGetValue(module, out var target) ? target : null;

    /// <summary>Refuses a target whose module has adapters of another model: both would register parameters under the same names.</summary>
    /// <exception cref="AdapterStateException">It has.</exception>
    public static void CheckFree(AdaptedTarget target)
    {
        if (Find(target.Module) is { } other && other != target)
            throw new AdapterStateException($"'{target.Path}' already has adapters that were attached through another model. Detach them first (dispose that AdaptedModel).");
    }

    /// <summary>Makes <paramref name="target"/> known, to interceptors here and to compiled code by a hook, or forgets it: by whether it has anything to do.</summary>
    public static void Update(AdaptedTarget target)
    {
        if (target.Layers.Count == 0 && !target.Base.CastsWeight) Remove(target);
        else if (!Targets.TryGetValue(target.Module, out _)) Add(target);
    }

    private static void Add(AdaptedTarget target)
    {
        Targets.Add(target.Module, target);
        CompiledCallHook.Register(target);
        Interlocked.Increment(ref count);
    }

    private static void Remove(AdaptedTarget target)
    {
        if (Find(target.Module) != target || !Targets.Remove(target.Module)) return;
        CompiledCallHook.Remove(target);
        Interlocked.Decrement(ref count);
    }
}
