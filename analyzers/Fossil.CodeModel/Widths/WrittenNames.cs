using System.Runtime.CompilerServices;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeModel.Widths;

/// <summary>
/// The names through which a compilation writes to objects: <c>Default</c> in <c>Presets.Default.hidden = 1</c>, and <c>Sizes</c> in <c>Sizes[0]++</c>. What
/// a static field holds is known only where no code writes through its name. A file's names are collected once, however many compilations it lives through.
/// </summary>
internal static class WrittenNames
{
    private static readonly ConditionalWeakTable<SyntaxTree, HashSet<string>> Files = new();

    /// <summary>The names of <paramref name="compilation"/>.</summary>
    public static HashSet<string> Of(Compilation compilation, CancellationToken cancellationToken)
    {
        var names = new HashSet<string>();
        foreach (var tree in compilation.SyntaxTrees) names.UnionWith(Files.GetValue(tree, parsed => Collect(parsed.GetRoot(cancellationToken))));
        return names;
    }

    /// <summary>The names of the variables and members that a piece of code writes, or hands on for writing.</summary>
    public static HashSet<string> Targets(SyntaxNode code) =>
        [.. Written(code).SelectMany(written => written.DescendantNodesAndSelf().OfType<SimpleNameSyntax>()).Select(name => name.Identifier.ValueText)];

    private static HashSet<string> Collect(SyntaxNode root)
    {
        var names = new HashSet<string>();
        foreach (var written in Written(root)) Add(written, names);
        return names;
    }

    private static IEnumerable<ExpressionSyntax> Written(SyntaxNode code) => code.DescendantNodes().Select(node => node switch
    {
        AssignmentExpressionSyntax assignment => assignment.Left,
        PrefixUnaryExpressionSyntax prefix when prefix.Kind() is SyntaxKind.PreIncrementExpression or SyntaxKind.PreDecrementExpression or SyntaxKind.AddressOfExpression => prefix.Operand,
        PostfixUnaryExpressionSyntax postfix when postfix.Kind() is not SyntaxKind.SuppressNullableWarningExpression => postfix.Operand,
        ArgumentSyntax { RefKindKeyword.RawKind: not 0 } argument => argument.Expression,
        RefExpressionSyntax reference => reference.Expression,
        _ => null,
    }).OfType<ExpressionSyntax>();

    /// <summary>Adds the names of the objects on the way to the member or element that is written.</summary>
    private static void Add(ExpressionSyntax written, HashSet<string> names)
    {
        var owner = written switch
        {
            MemberAccessExpressionSyntax member => member.Expression,
            ElementAccessExpressionSyntax element => element.Expression,
            _ => null,
        };
        if (owner is not null) names.UnionWith(owner.DescendantNodesAndSelf().OfType<SimpleNameSyntax>().Select(name => name.Identifier.ValueText));
        if (written is TupleExpressionSyntax tuple) foreach (var argument in tuple.Arguments) Add(argument.Expression, names);
    }
}
