using System.Collections.Immutable;
using System.Globalization;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL021: a shard size that no fine-tuning needs. The bound is a matter of taste: <c>fossil_largest_shard_size</c> in an <c>.editorconfig</c>.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class ShardSizeAbsurd : ClassRule
{
    private const string Option = "fossil_largest_shard_size";
    private const int DefaultLargest = 2048;

    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    private protected override void Analyze(SymbolAnalysisContext context, INamedTypeSymbol type, WellKnownTypes types)
    {
        var attributes = AdaptedClassParser.AdaptAttributes(type, types);
        for (var index = 0; index < attributes.Count; index++)
        {
            var size = attributes[index].NamedArguments.FirstOrDefault(argument => argument.Key == AdaptSettings.ShardSize.Name).Value;
            if (size.Kind != TypedConstantKind.Primitive || size.Value is not int number) continue;
            var location = AttributeSyntaxLocator.Locate(type, types, new ParseProblem(default, index, -1, AdaptSettings.ShardSize.Name, []), context.CancellationToken);
            var largest = Largest(context, location.SourceTree);
            if (number > largest) context.ReportDiagnostic(Diagnostic.Create(Descriptor, location, number, largest));
        }
    }

    private static int Largest(SymbolAnalysisContext context, SyntaxTree? tree) =>
        tree is not null && context.Options.AnalyzerConfigOptionsProvider.GetOptions(tree).TryGetValue(Option, out var text)
        && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var largest) && largest > 0
            ? largest
            : DefaultLargest;
}
