using System.Runtime.CompilerServices;
using static TorchSharp.torch;
using PostHook = System.Func<TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>, TorchSharp.torch.Tensor, TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;
using PreHook = System.Func<TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>, TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Fossil.CompilerServices;

/// <summary>A module's registered hooks: run around another forward pass, in the order of TorchSharp's <c>Module.call</c>, which is not virtual.</summary>
internal static class ModuleHooks
{
    /// <summary>Under this name lie the hooks of the library itself; users' have random ones.</summary>
    private const string OwnKey = "Fossil.Gen";

    /// <summary>The output of <paramref name="forward"/> with the hooks of users.</summary>
    public static Tensor Around(nn.Module<Tensor, Tensor> module, Tensor input, Func<Tensor, Tensor> forward)
    {
        foreach (var hook in ModulePreHooks(module).Values) hook(module);
        foreach (var (key, hook) in PreHooks(module))
        {
            if (key != OwnKey) input = hook(module, input) ?? input;
        }

        var result = forward(input);

        foreach (var (key, hook) in PostHooks(module))
        {
            if (key != OwnKey) result = hook(module, input, result) ?? result;
        }
        foreach (var hook in ModulePostHooks(module).Values) hook(module);
        return result;
    }

    /// <summary>Registers hooks that <see cref="Around"/> leaves out; <paramref name="after"/> runs before the users', which see what it returns.</summary>
    public static void AddOwn(nn.Module<Tensor, Tensor> module, PreHook before, PostHook after)
    {
        PreHooks(module).Add(OwnKey, before);
        // The first entry of an empty dictionary stays its first, whatever is added and removed later.
        var hooks = PostHooks(module);
        var users = hooks.ToArray();
        hooks.Clear();
        hooks.Add(OwnKey, after);
        foreach (var (key, hook) in users) hooks.Add(key, hook);
    }

    /// <summary>Takes the hooks of <see cref="AddOwn"/> off.</summary>
    public static void RemoveOwn(nn.Module<Tensor, Tensor> module)
    {
        PreHooks(module).Remove(OwnKey);
        PostHooks(module).Remove(OwnKey);
    }

    /// <summary>Whether a user has registered hooks that see the input, beside those of <see cref="AddOwn"/>.</summary>
    public static bool HasOthers(nn.Module<Tensor, Tensor> module) => PreHooks(module).Count > 1 || PostHooks(module).Count > 1;

    /// <summary>As <see cref="HasOthers"/>, or any that see the module alone.</summary>
    public static bool HasAnyOthers(nn.Module<Tensor, Tensor> module) => HasOthers(module) || ModulePreHooks(module).Count > 0 || ModulePostHooks(module).Count > 0;

    private static Dictionary<string, Action<nn.Module>> ModulePreHooks(nn.Module<Tensor, Tensor> module) => Fields<PreHook, PostHook>.ModulePreHooks(module);

    private static Dictionary<string, Action<nn.Module>> ModulePostHooks(nn.Module<Tensor, Tensor> module) => Fields<PreHook, PostHook>.ModulePostHooks(module);

    private static Dictionary<string, PreHook> PreHooks(nn.Module<Tensor, Tensor> module) => Fields<PreHook, PostHook>.PreHooks(module);

    private static Dictionary<string, PostHook> PostHooks(nn.Module<Tensor, Tensor> module) => Fields<PreHook, PostHook>.PostHooks(module);

    // An accessor to a field of a generic class must be generic in the same way.
    private static class Fields<TPreHook, TPostHook>
    {
        [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "module_pre_hooks")]
        public static extern ref Dictionary<string, Action<nn.Module>> ModulePreHooks(nn.HookableModule<TPreHook, TPostHook> module);

        [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "module_post_hooks")]
        public static extern ref Dictionary<string, Action<nn.Module>> ModulePostHooks(nn.HookableModule<TPreHook, TPostHook> module);

        [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "pre_hooks")]
        public static extern ref Dictionary<string, TPreHook> PreHooks(nn.HookableModule<TPreHook, TPostHook> module);

        [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "post_hooks")]
        public static extern ref Dictionary<string, TPostHook> PostHooks(nn.HookableModule<TPreHook, TPostHook> module);
    }
}
