using Fossil.CodeModel;
using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Uses;

// The rules on the code that uses targets; what each looks for is in the file of its name.

/// <content>FOSSIL006: a target that the class assigns but never registers with the model.</content>
public sealed partial class TargetNotRegistered
{
    internal const string Id = "FOSSIL006";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Target is assigned but never registered",
        "Target '{0}' of '{1}' is assigned but not registered, so that its weight is not part of the model: {2}",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "TorchSharp finds a layer through RegisterComponents or register_module. One that is not registered is not moved, saved or trained, and AttachAdapters does not find it.");
}

/// <content>FOSSIL007: a use of a target that runs it without its adapter.</content>
public sealed partial class UseNotRewired
{
    internal const string Id = "FOSSIL007";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Use of a target cannot be rewired",
        "'{0}' {1}: here it runs without its adapter; {2}",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "The generator rewires calls of forward and call that it can see, and a hook applies the adapters in every other call of call. What remains is forward in code that is compiled already, or in a delegate made from it.");
}

/// <content>FOSSIL008: a project whose settings keep the generated interceptors out.</content>
public sealed partial class InterceptorsNotEnabled
{
    internal const string Id = "FOSSIL008";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Interceptors' namespace is not enabled",
        "The project does not accept interceptors from the namespace '" + WellKnownNames.GeneratedNamespace + "', so no call of a target would be rewired: add "
            + "<InterceptorsNamespaces>$(InterceptorsNamespaces);" + WellKnownNames.GeneratedNamespace + "</InterceptorsNamespaces> to the project file",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Error,
        "The package Fossil.Gen sets the property. A project that assigns InterceptorsNamespaces without keeping the value before it, or that excludes the package's build assets, switches it off.",
        WellKnownDiagnosticTags.CompilationEnd);
}

/// <content>FOSSIL024: a target that gets another layer after construction.</content>
public sealed partial class TargetReplaced
{
    internal const string Id = "FOSSIL024";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Target is replaced after construction",
        "Target '{0}' gets another layer after its object was constructed: an adapter stays with the layer that was there when AttachAdapters ran, so assign targets in the constructor only",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "The run time finds an adapter by the identity of its layer. A layer that takes the place of another has none, and is not registered with the model either.");
}

/// <content>FOSSIL035: a language version that generated code cannot be written in.</content>
public sealed partial class LanguageVersionTooOld
{
    internal const string Id = "FOSSIL035";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Language version is too old",
        "Class '{0}' is marked [FossilAdapt], but the project's C# version is older than 11, which the generated code needs: set LangVersion to 11 or later, or remove it",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Error,
        "Interceptors are file-local types, which came with C# 11. The .NET 10 SDK uses C# 14 where a project does not ask for another.");
}

/// <content>FOSSIL039: a module that holds annotated ones and does not register them, so that none of their targets is found.</content>
public sealed partial class AnnotatedModulesNotRegistered
{
    internal const string Id = "FOSSIL039";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Annotated modules are held but never registered",
        "'{0}' of '{1}' holds annotated modules ('{2}') but is not registered, so that none of them is part of the model: {3}",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "TorchSharp finds a module through RegisterComponents or register_module of the one that holds it, a Sequential calls neither on its elements. What is not registered is not moved, saved or trained, and AttachAdapters adapts nothing in it.");
}

/// <content>FOSSIL041: a product with the weight of a target, which leaves its adapter out.</content>
public sealed partial class TargetWeightMultiplied
{
    internal const string Id = "FOSSIL041";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Weight of a target is multiplied without its adapter",
        "The weight of '{0}' is multiplied here without its adapter: call its forward, or write weight.detach() where the base alone is meant",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "An adapter acts where its layer is called. The weight is that of the frozen base, and a product with it is what the layer was before it was adapted.");
}
