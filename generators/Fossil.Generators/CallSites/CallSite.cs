using Fossil.CodeModel;

namespace Fossil.Generators.CallSites;

/// <summary>The calls to rewire in one source file.</summary>
/// <param name="HintName">The name of the file with their interceptors.</param>
/// <param name="SourceName">The name of the source file, without its folder.</param>
/// <param name="Interceptors">One interceptor per kind of call, each with its calls.</param>
internal sealed record FileCallSites(string HintName, string SourceName, EquatableArray<Interceptor> Interceptors);

/// <summary>What an interceptor must look like: calls of the same method share one.</summary>
/// <param name="Method"><c>forward</c> or <c>call</c>.</param>
/// <param name="TypeParameters">The type parameters of a generic declaring type, or empty.</param>
/// <param name="Constraints">Their constraints, or empty.</param>
/// <param name="TargetType">The declaring type of the called method.</param>
/// <param name="IsInterface">Whether that is <c>IModule</c>, which need not be a module.</param>
/// <param name="InputType">The parameter's type, with nullability.</param>
/// <param name="ResultType">The return type, with nullability.</param>
internal sealed record InterceptorShape(
    string Method,
    string TypeParameters,
    string Constraints,
    string TargetType,
    bool IsInterface,
    string InputType,
    string ResultType);

/// <summary>One interceptor.</summary>
/// <param name="Shape">Its signature.</param>
/// <param name="Group">The members whose calls read the same value, these calls among them; empty for calls by themselves.</param>
/// <param name="Sites">The calls that it replaces.</param>
internal sealed record Interceptor(InterceptorShape Shape, EquatableArray<string> Group, EquatableArray<CallSite> Sites)
{
    /// <summary>One interceptor for the calls that have both in common.</summary>
    public static IEnumerable<Interceptor> Of(IEnumerable<(InterceptorShape Shape, EquatableArray<string> Group, CallSite Site)> sites) =>
        sites.GroupBy(site => (site.Shape, site.Group), site => site.Site).Select(same => new Interceptor(same.Key.Shape, same.Key.Group, same.ToEquatableArray()));
}

/// <summary>One call. Its location holds a hash of the whole file, so it changes with each edit there: no other step's model has one.</summary>
/// <param name="LocationAttribute">The attribute that names the call to the compiler, as source.</param>
/// <param name="Line">The line of the call, from 1.</param>
/// <param name="Text">The called expression, for the comment.</param>
internal sealed record CallSite(string LocationAttribute, int Line, string Text);
