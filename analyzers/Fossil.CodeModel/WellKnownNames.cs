namespace Fossil.CodeModel;

/// <summary>Names of the run-time library and of TorchSharp that generator and analyzers know.</summary>
public static class WellKnownNames
{
    /// <summary>The assembly of the run-time library; an assembly that references it may hold annotated classes.</summary>
    public const string RuntimeAssembly = "Fossil";

    /// <summary>The assembly of TorchSharp.</summary>
    public const string TorchSharpAssembly = "TorchSharp";

    /// <summary>Metadata name of the attribute that marks a class.</summary>
    public const string AdaptAttribute = "Fossil.FossilAdaptAttribute";

    /// <summary>Metadata name of the attribute that names shard sizes for a whole assembly.</summary>
    public const string ShardSizesAttribute = "Fossil.FossilShardSizesAttribute";

    /// <summary>Metadata name of the attribute by which a custom layer declares its widths.</summary>
    public const string AdapterWidthsAttribute = "Fossil.AdapterWidthsAttribute";

    /// <summary>Metadata name of the enumeration of variants.</summary>
    public const string Variant = "Fossil.FossilVariant";

    /// <summary>Metadata name of the interface that the generated part implements.</summary>
    public const string Adaptable = "Fossil.CompilerServices.IFossilAdaptable";

    /// <summary>The method that the generated parts of a class hierarchy override.</summary>
    public const string CollectMethod = "CollectFossilAdapterTargets";

    /// <summary>The namespace of interceptors and kernels: the one that <c>InterceptorsNamespaces</c> must contain.</summary>
    public const string GeneratedNamespace = "Fossil.Generated";

    /// <summary>The build property that lists the namespaces whose interceptors the compiler accepts.</summary>
    public const string InterceptorsNamespacesProperty = "build_property.FossilInterceptorsNamespaces";

    /// <summary>The compiler's option behind <see cref="InterceptorsNamespacesProperty"/>.</summary>
    public const string InterceptorsFeature = "InterceptorsNamespaces";

    /// <summary>Metadata name of TorchSharp's tensor.</summary>
    public const string Tensor = "TorchSharp.torch+Tensor";

    /// <summary>Metadata name of the base of all modules.</summary>
    public const string Module = "TorchSharp.torch+nn+Module";

    /// <summary>Metadata name of the module with one input and one result.</summary>
    public const string UnaryModule = "TorchSharp.torch+nn+Module`2";

    /// <summary>Metadata name of the interface of a module with one input and one result.</summary>
    public const string UnaryModuleInterface = "TorchSharp.torch+nn+IModule`2";

    /// <summary>Metadata name of TorchSharp's registered list of modules.</summary>
    public const string ModuleList = "TorchSharp.Modules.ModuleList`1";

    /// <summary>Metadata name of TorchSharp's sequence of modules.</summary>
    public const string Sequential = "TorchSharp.Modules.Sequential";

    /// <summary>Metadata name of TorchSharp's linear layer.</summary>
    public const string Linear = "TorchSharp.Modules.Linear";

    /// <summary>TorchSharp's embedding.</summary>
    public const string Embedding = "TorchSharp.Modules.Embedding";

    /// <summary>The method of a module that runs it without hooks.</summary>
    public const string ForwardMethod = "forward";

    /// <summary>The method of a module that runs it with hooks.</summary>
    public const string CallMethod = "call";
}
