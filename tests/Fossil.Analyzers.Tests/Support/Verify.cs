using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Testing;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Testing;

namespace Fossil.Analyzers.Tests.Support;

/// <summary>
/// Compiles a program and compares the reports of one analyzer with the marks in it: <c>{|FOSSIL005:2050|}</c> is where the rule must report,
/// and nothing else may be reported.
/// </summary>
internal static class Verify
{
    /// <summary>What every test program may use without saying so.</summary>
    internal const string Usings = """
        global using System;
        global using System.Collections.Generic;
        global using System.Linq;
        global using Fossil;
        global using TorchSharp;
        global using TorchSharp.Modules;
        global using static TorchSharp.torch;
        global using static TorchSharp.torch.nn;
        """;

    private const string Settings = "is_global = true\nbuild_property.FossilInterceptorsNamespaces = Fossil.Generated\n";

    /// <summary>The hidden notes are left out, unless the test is about them.</summary>
    private const string Notes = "FOSSIL026";

    public static Task Reports<TAnalyzer>(
        string source, string? settings = null, bool withNotes = false, LanguageVersion version = LanguageVersion.CSharp14, string? interceptors = null, MetadataReference? library = null)
        where TAnalyzer : DiagnosticAnalyzer, new()
    {
        var test = new AnalyzerTest<TAnalyzer>(version, interceptors) { TestCode = source };
        Prepare(test, settings, withNotes);
        if (library is not null) test.TestState.AdditionalReferences.Add(library);
        return test.RunAsync();
    }

    public static Task Fixes<TAnalyzer, TFix>(string before, string after, string? equivalenceKey = null)
        where TAnalyzer : DiagnosticAnalyzer, new()
        where TFix : CodeFixProvider, new()
    {
        var test = new FixTest<TAnalyzer, TFix> { TestCode = before, FixedCode = after, CodeActionEquivalenceKey = equivalenceKey };
        Prepare(test, null, false);
        test.FixedState.Sources.Add(("Usings.cs", Usings));
        return test.RunAsync();
    }

    /// <summary>A library that was compiled by itself, without the generator.</summary>
    public static MetadataReference Library(string source)
    {
        SyntaxTree[] trees = [CSharpSyntaxTree.ParseText(Usings), CSharpSyntaxTree.ParseText(source)];
        var library = CSharpCompilation.Create("Library", trees, References.All, new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable));
        using var image = new MemoryStream();
        var result = library.Emit(image);
        return result.Success ? MetadataReference.CreateFromImage(image.ToArray()) : throw new InvalidOperationException(string.Join("\n", result.Diagnostics));
    }

    private static void Prepare(Microsoft.CodeAnalysis.Testing.AnalyzerTest<DefaultVerifier> test, string? settings, bool withNotes)
    {
        test.ReferenceAssemblies = References.None;
        test.TestState.AdditionalReferences.AddRange(References.All);
        test.TestState.Sources.Add(("Usings.cs", Usings));
        test.TestState.AnalyzerConfigFiles.Add(("/.globalconfig", settings ?? Settings));
        test.MarkupOptions = MarkupOptions.UseFirstDescriptor;
        test.CompilerDiagnostics = CompilerDiagnostics.Errors;
        if (!withNotes) test.DisabledDiagnostics.Add(Notes);
    }

    private sealed class AnalyzerTest<TAnalyzer>(LanguageVersion version, string? interceptors) : CSharpAnalyzerTest<TAnalyzer, DefaultVerifier>
        where TAnalyzer : DiagnosticAnalyzer, new()
    {
        protected override CompilationOptions CreateCompilationOptions() =>
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true, nullableContextOptions: NullableContextOptions.Enable);

        protected override ParseOptions CreateParseOptions() => interceptors is null
            ? new CSharpParseOptions(version)
            : new CSharpParseOptions(version).WithFeatures([KeyValuePair.Create("InterceptorsNamespaces", interceptors)]);
    }

    private sealed class FixTest<TAnalyzer, TFix> : CSharpCodeFixTest<TAnalyzer, TFix, DefaultVerifier>
        where TAnalyzer : DiagnosticAnalyzer, new()
        where TFix : CodeFixProvider, new()
    {
        protected override CompilationOptions CreateCompilationOptions() =>
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable);

        protected override ParseOptions CreateParseOptions() => new CSharpParseOptions(LanguageVersion.CSharp14);
    }
}
