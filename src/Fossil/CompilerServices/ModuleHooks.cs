using System.Runtime.CompilerServices;
using static TorchSharp.torch;
using PostHook = System.Func<TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>, TorchSharp.torch.Tensor, TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;
using PreHook = System.Func<TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>, TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Fossil.CompilerServices;

/// <summary>Runs a module's registered hooks around another forward pass, in the order of TorchSharp's <c>Module.call</c>, which is not virtual.</summary>
internal static class ModuleHooks
{
    public static Tensor Around(nn.Module<Tensor, Tensor> module, Tensor input, Func<Tensor, Tensor> forward)
    {
        foreach (var hook in ModulePreHooks(module).Values) hook(module);
        foreach (var hook in PreHooks(module).Values) input = hook(module, input) ?? input;

        var result = forward(input);

        foreach (var hook in PostHooks(module).Values) result = hook(module, input, result) ?? result;
        foreach (var hook in ModulePostHooks(module).Values) hook(module);
        return result;
    }

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
