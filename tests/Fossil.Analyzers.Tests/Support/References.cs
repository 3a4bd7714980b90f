using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Testing;

namespace Fossil.Analyzers.Tests.Support;

/// <summary>What test programs are compiled against: the running framework, TorchSharp and the run-time library. Nothing is downloaded.</summary>
internal static class References
{
    /// <summary>The framework, TorchSharp and Fossil.</summary>
    public static readonly IReadOnlyList<MetadataReference> All = [.. Framework(), Library("TorchSharp"), Library("Fossil")];

    /// <summary>No packages: the references are given one by one.</summary>
    public static readonly ReferenceAssemblies None = new("net10.0");

    private static IEnumerable<MetadataReference> Framework()
    {
        var folder = Path.GetDirectoryName(typeof(object).Assembly.Location)!;
        var trusted = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
        return trusted.Where(path => Path.GetDirectoryName(path) == folder && Path.GetFileName(path) is var name && (name.StartsWith("System.", StringComparison.Ordinal) || name is "netstandard.dll" or "mscorlib.dll" or "Microsoft.CSharp.dll"))
            .Select(path => MetadataReference.CreateFromFile(path));
    }

    private static MetadataReference Library(string name) => MetadataReference.CreateFromFile(Path.Combine(AppContext.BaseDirectory, name + ".dll"));
}
