using CsCheck;
using Microsoft.CodeAnalysis;

namespace Fossil.Generators.Tests;

/// <summary>Generated code means what it says whatever the program calls its own things: the names are those that generated code has itself, and the keywords.</summary>
public class HostileNamesTests
{
    public static TheoryData<string> Roles() => [.. Enum.GetNames<NameRole>()];

    [Theory]
    [MemberData(nameof(Roles))]
    public void EveryNameInOneRole(string role)
    {
        var one = Enum.Parse<NameRole>(role);
        var names = HostileProgram.Names.Value.Where(name => HostileProgram.Allows(one, name)).ToList();
        Assert.True(names.Count > 100, $"{names.Count} names");
        // The name of a type in metadata has at most 1023 bytes.
        foreach (var some in one == NameRole.NamespacePart ? names.Chunk(70) : [[.. names]]) Check(some.ToDictionary(name => name, _ => one));
    }

    [Fact]
    public void NamesInAnyRoles() =>
        Gen.Enum<NameRole>().Where(role => role != NameRole.NamespacePart).Array[HostileProgram.Names.Value.Length]
            .Select(roles => HostileProgram.Names.Value.Zip(roles).Where(pair => HostileProgram.Allows(pair.Second, pair.First)).ToDictionary(pair => pair.First, pair => pair.Second))
            .Sample(Check, iter: 4, seed: "67nYpxb0TnX1", threads: 1);

    private static void Check(Dictionary<string, NameRole> roles)
    {
        var compilation = GeneratorHarness.Compile(HostileProgram.Sources(roles), usings: false);
        compilation = compilation.WithOptions(compilation.Options.WithOutputKind(OutputKind.ConsoleApplication));
        Assert.Empty(Errors(compilation.GetDiagnostics()));

        var generated = GeneratorHarness.Run(compilation);
        var problems = generated.Problems;
        Assert.Empty(Errors(problems));
        Assert.DoesNotContain(problems, problem => problem.Location.SourceTree is { } tree && !tree.FilePath.StartsWith("/project/", StringComparison.Ordinal));
        var calls = HostileProgram.Calls + roles.Count(pair => pair.Value == NameRole.Target);
        Assert.Equal(calls, generated.Files.Values.Sum(text => text.Split("// line ").Length - 1));
    }

    private static IEnumerable<Diagnostic> Errors(IEnumerable<Diagnostic> diagnostics) => diagnostics.Where(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error);
}
