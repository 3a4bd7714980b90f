using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeActions;
using Microsoft.CodeAnalysis.CodeFixes;

namespace Fossil.CodeFixes;

/// <summary>What the code fixes share: each says which changes it has for one report; here they are offered, one by one and for all reports.</summary>
public abstract class FixProvider : CodeFixProvider
{
    /// <inheritdoc/>
    public sealed override FixAllProvider GetFixAllProvider() => new EveryFix(this);

    /// <inheritdoc/>
    public sealed override async Task RegisterCodeFixesAsync(CodeFixContext context)
    {
        var solution = context.Document.Project.Solution;
        foreach (var diagnostic in context.Diagnostics)
        {
            foreach (var fix in await FixesAsync(solution, diagnostic, context.CancellationToken).ConfigureAwait(false))
            {
                context.RegisterCodeFix(CodeAction.Create(fix.Title, cancellationToken => Fix.ApplyAsync(solution, [fix], cancellationToken), fix.Key), diagnostic);
            }
        }
    }

    /// <summary>The changes that would mend a report; none where its code has another form than the fix knows.</summary>
    /// <param name="diagnostic">The report.</param>
    /// <param name="reported">The syntax at the report, or at the attribute that the report names as what to change.</param>
    private protected abstract IEnumerable<Fix> FixesOf(Diagnostic diagnostic, SyntaxNode reported);

    private async Task<IEnumerable<Fix>> FixesAsync(Solution solution, Diagnostic diagnostic, CancellationToken cancellationToken)
    {
        // Some clients offer each report of an analyzer to each fix.
        if (!FixableDiagnosticIds.Contains(diagnostic.Id)) return [];
        // The attribute may stand in another file than the report.
        var location = diagnostic.AdditionalLocations.FirstOrDefault() ?? diagnostic.Location;
        if (location.SourceTree is not { } tree || solution.GetDocument(tree) is null) return [];
        var root = await tree.GetRootAsync(cancellationToken).ConfigureAwait(false);
        return FixesOf(diagnostic, root.FindNode(location.SourceSpan, getInnermostNodeForTie: true));
    }

    /// <summary>
    /// Makes the chosen change for all reports of a document, project or solution. Roslyn's batch fixer would merge texts, and lose one of two changes that
    /// touch each other, as two arguments of one attribute do.
    /// </summary>
    private sealed class EveryFix(FixProvider provider) : FixAllProvider
    {
        public override Task<CodeAction?> GetFixAsync(FixAllContext context) => Task.FromResult<CodeAction?>(CodeAction.Create(
            "Fix all", cancellationToken => ApplyAsync(context.WithCancellationToken(cancellationToken)), context.CodeActionEquivalenceKey));

        private async Task<Solution> ApplyAsync(FixAllContext context)
        {
            var offers = new List<List<Fix>>();
            foreach (var diagnostic in await ReportsAsync(context).ConfigureAwait(false))
            {
                var offered = (await provider.FixesAsync(context.Solution, diagnostic, context.CancellationToken).ConfigureAwait(false)).ToList();
                if (offered.Count > 0) offers.Add(offered);
            }
            return await Fix.ApplyAsync(context.Solution, Choose(offers, context.CodeActionEquivalenceKey), context.CancellationToken).ConfigureAwait(false);
        }

        /// <summary>
        /// The change of each report that was chosen for one. Who takes the first that is offered takes the first for each report, another size for another width;
        /// and `dotnet format` has no choice to make: it takes what is offered for the first report of the analyzer, which may be one of another rule.
        /// </summary>
        private static IEnumerable<Fix> Choose(List<List<Fix>> offers, string? key)
        {
            var isFirst = offers.Any(offered => offered[0].Key == key) || !offers.Any(offered => offered.Any(fix => fix.Key == key));
            return offers.Select(offered => offered.FirstOrDefault(fix => fix.Key == key) ?? (isFirst ? offered[0] : null)).OfType<Fix>();
        }

        private static async Task<IEnumerable<Diagnostic>> ReportsAsync(FixAllContext context)
        {
            if (context is { Scope: FixAllScope.Document, Document: { } document }) return await context.GetDocumentDiagnosticsAsync(document).ConfigureAwait(false);
            var projects = context.Scope == FixAllScope.Solution ? context.Solution.Projects : [context.Project];
            var reports = new List<Diagnostic>();
            foreach (var project in projects) reports.AddRange(await context.GetAllDiagnosticsAsync(project).ConfigureAwait(false));
            return reports;
        }
    }
}
