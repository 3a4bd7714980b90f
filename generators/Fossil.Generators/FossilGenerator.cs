using Fossil.CodeModel.Declarations;
using Fossil.Generators.CallSites;
using Fossil.Generators.Emission;
using Microsoft.CodeAnalysis;

namespace Fossil.Generators;

/// <summary>
/// Emits, for classes marked with <c>[FossilAdapt]</c>: the part that tells the run time their targets, kernels for their shard sizes, and
/// interceptors for the calls of their targets; for <c>[assembly: FossilShardSizes]</c>, kernels. Errors are the analyzers' to report: where something is wrong, less is emitted.
/// </summary>
[Generator(LanguageNames.CSharp)]
public sealed class FossilGenerator : IIncrementalGenerator
{
    /// <inheritdoc/>
    public void Initialize(IncrementalGeneratorInitializationContext context)
    {
        var options = context.ParseOptionsProvider.Combine(context.AnalyzerConfigOptionsProvider)
            .Select(static (pair, _) => GenerationOptions.From(pair.Left, pair.Right))
            .WithTrackingName(TrackingNames.Options);

        // No syntax provider: the driver runs the transforms of every syntax provider again at each keystroke. Reader and finder know what
        // an edit leaves as it was, and give back the very same models.
        var reader = new DeclarationReader();
        var classes = context.CompilationProvider
            .SelectMany((compilation, cancellationToken) => reader.Read(compilation, cancellationToken).Classes.Where(static model => model.CanEmit))
            .WithTrackingName(TrackingNames.AdaptedClasses);

        // File names are told apart without regard to case, class names are not.
        var sameNames = classes
            .Select(static (model, _) => model.MetadataName)
            .Collect()
            .Select(static (names, _) => AdapterPartEmitter.NamesThatDifferInCase(names))
            .WithTrackingName(TrackingNames.SameNames);

        var namedSizes = context.CompilationProvider
            .SelectMany((compilation, cancellationToken) => reader.Read(compilation, cancellationToken).ShardSizes)
            .WithTrackingName(TrackingNames.NamedShardSizes);
        var shardSizes = classes
            .SelectMany(static (model, _) => ShardKernelNames.Sizes(model))
            .Collect()
            .Combine(namedSizes.Collect())
            .SelectMany(static (sizes, _) => sizes.Left.Concat(sizes.Right).Distinct().OrderBy(size => size))
            .WithTrackingName(TrackingNames.ShardSizes);

        // What the user's code may name must be there while typing; kernels and call sites only matter when the compiler emits.
        context.RegisterSourceOutput(classes.Combine(options).Combine(sameNames), static (output, pair) =>
        {
            var ((model, allowed), sameNames) = pair;
            if (allowed.CanGenerate) output.AddSource(AdapterPartEmitter.HintName(model, sameNames), AdapterPartEmitter.Emit(model));
        });
        context.RegisterImplementationSourceOutput(shardSizes.Combine(options), static (output, pair) =>
        {
            if (pair.Right.CanGenerate) output.AddSource(ShardKernelNames.File(pair.Left), KernelEmitter.Emit(pair.Left));
        });

        var finder = new CallSiteFinder(reader);
        var callSites = context.CompilationProvider.Combine(options)
            .SelectMany((pair, cancellationToken) => pair.Right.CanIntercept ? finder.Find(pair.Left, cancellationToken) : [])
            .WithTrackingName(TrackingNames.CallSites);
        context.RegisterImplementationSourceOutput(callSites, static (output, file) => output.AddSource(file.HintName, InterceptorEmitter.Emit(file)));
    }
}
