using System.Collections.Immutable;
using System.Reflection;
using System.Runtime.Loader;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Generators.Tests;

/// <summary>Compiles sources against TorchSharp and Fossil with the generator, as a consumer's build does.</summary>
internal static class GeneratorHarness
{
    /// <summary>What an SDK project brings: implicit usings and the usings of the README.</summary>
    public const string Usings = """
        global using System;
        global using System.Collections.Generic;
        global using System.Linq;
        global using Fossil;
        global using TorchSharp;
        global using TorchSharp.Modules;
        global using static TorchSharp.torch;
        global using static TorchSharp.torch.nn;
        """;

    private static readonly ImmutableArray<MetadataReference> References =
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Where(path => Path.GetFileName(path) is var name && (name.StartsWith("System.", StringComparison.Ordinal) || name is "netstandard.dll" or "mscorlib.dll" or "TorchSharp.dll" or "Fossil.dll"))
            .Select(path => MetadataReference.CreateFromFile(path)),
    ];

    public static CSharpParseOptions ParseOptions(LanguageVersion version = LanguageVersion.CSharp14, bool interceptors = true)
    {
        var options = new CSharpParseOptions(version, DocumentationMode.Diagnose);
        return interceptors ? options.WithFeatures([new("InterceptorsNamespaces", "Fossil.Generated")]) : options;
    }

    /// <summary>A compilation of <paramref name="sources"/> with nullable on; the first is <c>Source0.cs</c>.</summary>
    public static CSharpCompilation Compile(IEnumerable<string> sources, CSharpParseOptions? parseOptions = null, params MetadataReference[] references)
    {
        parseOptions ??= ParseOptions();
        var trees = sources.Select((source, index) => CSharpSyntaxTree.ParseText(source, parseOptions, $"/project/Source{index}.cs", System.Text.Encoding.UTF8));
        if (parseOptions.LanguageVersion >= LanguageVersion.CSharp10) trees = trees.Append(CSharpSyntaxTree.ParseText(Usings, parseOptions, "/project/Usings.cs", System.Text.Encoding.UTF8));
        return CSharpCompilation.Create(
            "Consumer" + Guid.NewGuid().ToString("N"),
            trees,
            References.AddRange(references),
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable, optimizationLevel: OptimizationLevel.Release));
    }

    public static CSharpCompilation Compile(string source, CSharpParseOptions? parseOptions = null) => Compile([source], parseOptions);

    /// <summary>As <see cref="Compile(IEnumerable{string}, CSharpParseOptions?, MetadataReference[])"/>, with or without <see cref="Usings"/>.</summary>
    public static CSharpCompilation Compile(IEnumerable<string> sources, bool usings) =>
        Compile(sources) is var compilation && usings ? compilation : compilation.RemoveSyntaxTrees(compilation.SyntaxTrees.Last());

    /// <summary>A driver with step tracking; <paramref name="interceptors"/> says whether the project allows them.</summary>
    public static GeneratorDriver Driver(CSharpParseOptions? parseOptions = null, bool interceptors = true) => CSharpGeneratorDriver.Create(
        [new FossilGenerator().AsSourceGenerator()],
        parseOptions: parseOptions ?? ParseOptions(),
        optionsProvider: new BuildProperties(interceptors ? "Other.Generated;Fossil.Generated" : "Other.Generated"),
        driverOptions: new GeneratorDriverOptions(IncrementalGeneratorOutputKind.None, trackIncrementalGeneratorSteps: true));

    /// <summary>Runs the generator; fails where it threw.</summary>
    public static Generated Run(CSharpCompilation compilation, bool interceptors = true)
    {
        var parseOptions = (CSharpParseOptions)compilation.SyntaxTrees[0].Options;
        var driver = Driver(parseOptions, interceptors).RunGeneratorsAndUpdateCompilation(compilation, out var output, out _);
        var result = Assert.Single(driver.GetRunResult().Results);
        Assert.Null(result.Exception);
        Assert.Empty(result.Diagnostics);
        return new Generated((CSharpCompilation)output, result.GeneratedSources.ToDictionary(source => source.HintName, source => source.SourceText.ToString()));
    }

    public static Generated Run(string source) => Run(Compile(source));

    /// <summary>A driver as an editor has it: outputs that only a build needs do not run.</summary>
    public static GeneratorDriver EditorDriver(CSharpParseOptions parseOptions, bool track) => CSharpGeneratorDriver.Create(
        [new FossilGenerator().AsSourceGenerator()],
        parseOptions: parseOptions,
        optionsProvider: new BuildProperties("Fossil.Generated"),
        driverOptions: new GeneratorDriverOptions(IncrementalGeneratorOutputKind.Implementation, track));

    private sealed class BuildProperties(string interceptorsNamespaces) : AnalyzerConfigOptionsProvider
    {
        public override AnalyzerConfigOptions GlobalOptions { get; } = new Properties(interceptorsNamespaces);

        public override AnalyzerConfigOptions GetOptions(SyntaxTree tree) => GlobalOptions;

        public override AnalyzerConfigOptions GetOptions(AdditionalText textFile) => GlobalOptions;

        private sealed class Properties(string interceptorsNamespaces) : AnalyzerConfigOptions
        {
            public override bool TryGetValue(string key, out string value)
            {
                value = interceptorsNamespaces;
                return key == "build_property.FossilInterceptorsNamespaces";
            }
        }
    }
}

/// <summary>The compilation with what was generated.</summary>
/// <param name="Compilation">Sources and generated sources.</param>
/// <param name="Files">Generated text by file name.</param>
internal sealed record Generated(CSharpCompilation Compilation, IReadOnlyDictionary<string, string> Files)
{
    /// <summary>The one interceptor file.</summary>
    public string Interceptors => Files.Single(file => file.Key.EndsWith(".Interceptors.g.cs", StringComparison.Ordinal)).Value;

    /// <summary>Every warning and error; warnings count, as in a project that treats them as errors.</summary>
    public IReadOnlyList<Diagnostic> Problems
    {
        get
        {
            using var assembly = new MemoryStream();
            return [.. Compilation.Emit(assembly).Diagnostics.Where(IsProblem)];
        }
    }

    /// <summary>The compiled assembly, loaded; it must compile without a warning.</summary>
    public Assembly Load()
    {
        using var assembly = new MemoryStream();
        Assert.Empty(Compilation.Emit(assembly).Diagnostics.Where(IsProblem));
        assembly.Position = 0;
        return AssemblyLoadContext.Default.LoadFromStream(assembly);
    }

    /// <summary>The sources of the tests need no documentation; generated code does.</summary>
    private static bool IsProblem(Diagnostic diagnostic) =>
        diagnostic.Severity >= DiagnosticSeverity.Warning
        && !(diagnostic.Id == "CS1591" && diagnostic.Location.SourceTree!.FilePath.StartsWith("/project/", StringComparison.Ordinal));
}
