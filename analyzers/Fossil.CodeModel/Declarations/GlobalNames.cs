using System.Collections.Immutable;

namespace Fossil.CodeModel.Declarations;

/// <summary>The names that mean something in a file that does not write them.</summary>
internal static class GlobalNames
{
    /// <summary>Methods that the compiler calls where no name is written, and that may be extension methods.</summary>
    private static readonly string[] Patterns =
    [
        "GetEnumerator", "GetAsyncEnumerator", "GetAwaiter", "GetPinnableReference", "Deconstruct", "Add", "Select", "SelectMany", "Where", "Cast", "OrderBy",
        "OrderByDescending", "ThenBy", "ThenByDescending", "GroupBy", "Join", "GroupJoin",
    ];

    /// <summary>Those of the language, and those in the using directives that hold for every file; each once.</summary>
    public static ImmutableArray<ulong> Of(FileDeclarations[] files) =>
        [.. new HashSet<ulong>([.. Patterns.Select(Fingerprint.Of), .. files.SelectMany(file => file.MentionedGlobally)])];
}
