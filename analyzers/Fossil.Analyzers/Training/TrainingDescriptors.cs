using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Training;

// The rules on the code that trains an adapted model; what each looks for is in the file of its name.

/// <content>FOSSIL028: An optimizer that is given the frozen base too.</content>
internal static partial class OptimizerOverAllParameters
{
    public const string Id = "FOSSIL028";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Optimizer is made over all parameters of an adapted model",
        "The optimizer gets every parameter of '{0}', the frozen base among them: use {1}CreateOptimizer(…), or give it {1}TrainableParameters()",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "After AttachAdapters only the adapters train. An optimizer over all parameters walks over the whole base at each step, and trains what is unfrozen by accident.");
}

/// <content>FOSSIL029: An optimizer that does not know the adapters.</content>
internal static partial class OptimizerBeforeAttach
{
    public const string Id = "FOSSIL029";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Optimizer is made before the adapters are attached",
        "The optimizer is made before AttachAdapters and used after it, so that it trains the frozen base and not the adapters: make it afterwards, with CreateOptimizer",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "An optimizer keeps the parameters that it was given. The adapters' parameters do not exist before AttachAdapters.");
}

/// <content>FOSSIL030: A move that leaves the optimizer with dead parameters.</content>
internal static partial class MoveAfterOptimizer
{
    public const string Id = "FOSSIL030";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Model is moved after the optimizer was made",
        "'{0}' is moved after the optimizer was made: moving makes new parameters, and the optimizer keeps the old ones; move first, then make the optimizer",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "In TorchSharp, to(…) replaces the parameters of a module where device or type change. An optimizer that was made before updates parameters that no layer uses.");
}

/// <content>FOSSIL031: Adapters that are attached in a scope that ends before they are used.</content>
internal static partial class AttachInDisposeScope
{
    public const string Id = "FOSSIL031";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Adapters are attached inside a dispose scope that ends before they are used",
        "AttachAdapters runs inside a dispose scope that ends before '{0}' is used: what is made in the scope is disposed with it, so attach outside it",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Info,
        "The adapters' parameters outlive the scope, but a model, optimizer or tensor that is made in the same scope does not.");
}

/// <content>FOSSIL032: Training whose adapters are folded into the base.</content>
internal static partial class TrainingWhileMerged
{
    public const string Id = "FOSSIL032";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Training while the adapters are merged",
        "Training goes on after '{0}.{1}': while adapters are merged into the base they do not learn; call Unmerge() first, or merge after training",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "Merge folds the adapters into the frozen weights for serving. Their own parameters are not part of the forward pass then and get no gradients.");
}

/// <content>FOSSIL033: A whole model where the adapter is meant.</content>
internal static partial class WholeModelSaved
{
    public const string Id = "FOSSIL033";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Whole model is saved where the adapter is meant",
        "'{0}' is adapted: save(…) writes the whole base and the adapters in TorchSharp's format; SavePretrained(folder) writes the adapter alone, as PEFT does",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "An adapter is a few megabytes beside a base of gigabytes that does not change. After Merge or MergeAndUnload, saving the whole model is right and not reported.");
}

/// <content>FOSSIL034: An adapted model that nobody holds.</content>
internal static partial class AdaptedModelDiscarded
{
    public const string Id = "FOSSIL034";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Result of AttachAdapters is not kept",
        "The adapted model that AttachAdapters returns is not kept: without it the adapters can be neither trained, saved nor removed; write using var adapted = …",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "The adapted model gives the optimizer, saves, merges, and takes the adapters off again when it is disposed.");
}

/// <content>FOSSIL038: A model that is returned after its adapters were attached under <c>using</c>, which takes them off as the method ends.</content>
internal static partial class AdaptersGoneOnReturn
{
    public const string Id = "FOSSIL038";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Adapters are gone when the model is returned",
        "'{0}' is returned without its adapters: using disposes '{1}' first, which takes them off; declare '{1}' without using and return it, or merge before",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "Disposing of an adapted model removes its adapters. What was merged into the base, saved, or given to other code is not reported.");
}
