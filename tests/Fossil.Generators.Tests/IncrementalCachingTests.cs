using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Text;

namespace Fossil.Generators.Tests;

/// <summary>What an edit re-runs: each test edits real source text, runs the same driver again, and looks at the reasons of the steps.</summary>
public class IncrementalCachingTests
{
    private const string First = """
        [FossilAdapt("q_proj", ShardSize = 32)]
        public sealed partial class First() : Module<Tensor, Tensor>("first")
        {
            private readonly Linear q_proj = Linear(64, 64);
            public override Tensor forward(Tensor x) => q_proj.forward(x);
        }
        """;

    private const string Second = """
        [FossilAdapt("up", ShardSize = 64)]
        public sealed partial class Second() : Module<Tensor, Tensor>("second")
        {
            private readonly Linear up = Linear(64, 64), down = Linear(64, 64);
            public override Tensor forward(Tensor x) => down.forward(up.forward(x));
        }
        """;

    private const string Unrelated = "public static class Unrelated { public static int Answer() => 42; }";

    private static readonly string[] Steps = [TrackingNames.Options, TrackingNames.AdaptedClasses, TrackingNames.SameNames, TrackingNames.NamedShardSizes, TrackingNames.ShardSizes, TrackingNames.CallSites];

    [Theory]
    [InlineData("42", "43")]
    [InlineData("Answer() => 42;", "Answer() { var x = 1; return x; } /* forward call */")]
    [InlineData("public static class Unrelated", "public class Other { } public static class Unrelated")]
    public void AnUnrelatedEditReRunsNothing(string old, string edited)
    {
        var second = Edit(2, old, edited);

        foreach (var step in Steps) AssertCached(second, step);
        AssertNoOutputRan(second);
    }

    [Fact]
    public void AnEditInABodyOfAnAnnotatedClassReRunsOnlyTheInterceptorsOfThatFile()
    {
        var second = Edit(0, "=> q_proj.forward(x);", "=> q_proj.forward(x) + 1;");

        foreach (var step in Steps.Except([TrackingNames.CallSites])) AssertCached(second, step);
        Assert.Equal([IncrementalStepRunReason.Modified, IncrementalStepRunReason.Cached], Reasons(second, TrackingNames.CallSites));
        Assert.Equal(["Source0.Interceptors.g.cs"], ChangedFiles(second));
    }

    [Fact]
    public void ASettingReRunsThatClassAlone()
    {
        var second = Edit(0, "[FossilAdapt(\"q_proj\", ShardSize = 32)]", "[FossilAdapt(\"q_proj\", ShardSize = 32, Dropout = 0.1)]");

        Assert.Equal([IncrementalStepRunReason.Modified, IncrementalStepRunReason.Cached], Reasons(second, TrackingNames.AdaptedClasses));
        AssertCached(second, TrackingNames.ShardSizes);
        // The interceptors' locations hold a hash of the edited file.
        Assert.Equal(["First.Fossil.g.cs", "Source0.Interceptors.g.cs"], ChangedFiles(second));
    }

    [Fact]
    public void AShardSizeReRunsThatClassAndItsKernels()
    {
        var second = Edit(0, "ShardSize = 32", "ShardSize = 16");

        Assert.Equal([IncrementalStepRunReason.Modified, IncrementalStepRunReason.Cached], Reasons(second, TrackingNames.AdaptedClasses));
        Assert.Equal([IncrementalStepRunReason.Modified, IncrementalStepRunReason.Cached], Reasons(second, TrackingNames.ShardSizes));
        Assert.Equal(["First.Fossil.g.cs", "ShardKernels16.g.cs", "Source0.Interceptors.g.cs"], ChangedFiles(second));
    }

    [Fact]
    public void AFurtherTargetReRunsThatClass()
    {
        var second = Edit(1, "\"up\"", "\"up\", \"down\"");

        Assert.Equal([IncrementalStepRunReason.Cached, IncrementalStepRunReason.Modified], Reasons(second, TrackingNames.AdaptedClasses));
        Assert.Equal(["Second.Fossil.g.cs", "Source1.Interceptors.g.cs"], ChangedFiles(second));
    }

    [Fact]
    public void ACallInAnotherFileAddsItsInterceptors()
    {
        var second = Edit(2, "Answer() => 42;", "Answer() => 42; public static Tensor Run(Linear p, Tensor x) => p.forward(x);");

        AssertCached(second, TrackingNames.AdaptedClasses);
        Assert.Contains(IncrementalStepRunReason.New, Reasons(second, TrackingNames.CallSites));
        Assert.Equal(["Source2.Interceptors.g.cs"], ChangedFiles(second));
    }

    [Fact]
    public void AConstantInAnotherFileReRunsTheClassThatUsesIt()
    {
        var second = Edit(
            [First.Replace("ShardSize = 32", "ShardSize = Sizes.Shard"), Second, "public static class Sizes { public const int Shard = 32; public static int Other = 1; }"],
            2,
            "Shard = 32",
            "Shard = 16");

        Assert.Equal([IncrementalStepRunReason.Modified, IncrementalStepRunReason.Cached], Reasons(second, TrackingNames.AdaptedClasses));
        Assert.Equal(["First.Fossil.g.cs", "ShardKernels16.g.cs"], ChangedFiles(second));
    }

    [Fact]
    public void ABaseClassInAnotherFileReRunsTheClassThatDerivesFromIt()
    {
        var second = Edit(
            ["public class Base() : Module(\"b\") { protected Linear p = Linear(8, 8); }", "[FossilAdapt(\"p\", ShardSize = 8)] public partial class Derived : Base { }"],
            0,
            "Linear p = Linear(8, 8);",
            "Linear[] p = [];");

        Assert.Equal([IncrementalStepRunReason.Modified], Reasons(second, TrackingNames.AdaptedClasses));
        Assert.Equal(["Derived.Fossil.g.cs"], ChangedFiles(second));
    }

    [Fact]
    public void AnAliasInAnotherFileMakesTheAttribute()
    {
        var second = Edit([First.Replace("FossilAdapt", "Adapt"), "global using Nothing = System.Int32;"], 1, "Nothing = System.Int32", "Adapt = Fossil.FossilAdaptAttribute");

        Assert.Contains("First.Fossil.g.cs", ChangedFiles(second));
    }

    [Theory]
    [InlineData("(48)", "(48, 24)", "ShardKernels24.g.cs")]
    [InlineData("public const int Large = 96;", "public const int Large = 80;", "ShardKernels80.g.cs")]
    public void AFurtherNamedSizeAddsItsKernelsAlone(string old, string edited, string file)
    {
        string[] sources =
        [
            First, Unrelated, "[assembly: FossilShardSizes(48)] class Nothing { }", "[assembly: FossilShardSizes(32, Sizes.Large)]",
            "static class Sizes { public const int Large = 96; }",
        ];
        var second = Edit(sources, Array.FindIndex(sources, source => source.Contains(old, StringComparison.Ordinal)), old, edited);

        foreach (var step in Steps.Except([TrackingNames.NamedShardSizes, TrackingNames.ShardSizes])) AssertCached(second, step);
        Assert.Equal([file], ChangedFiles(second));
    }

    [Fact]
    public void AnUnrelatedEditBesideNamedSizesReRunsNothing()
    {
        var second = Edit([First, Unrelated, "[assembly: FossilShardSizes(48)] class Nothing { public void Empty() { } }"], 2, "void Empty() { }", "int Empty() { return 1; }");

        foreach (var step in Steps) AssertCached(second, step);
        AssertNoOutputRan(second);
    }

    [Fact]
    public void RemovingTheAttributeRemovesItsFiles()
    {
        var second = Edit(1, "[FossilAdapt(\"up\", ShardSize = 64)]", "");

        Assert.Equal([IncrementalStepRunReason.Cached, IncrementalStepRunReason.Removed], Reasons(second, TrackingNames.AdaptedClasses));
        Assert.DoesNotContain(second.Now.GeneratedSources, source => source.HintName is "Second.Fossil.g.cs" or "ShardKernels64.g.cs");
    }

    /// <summary>The results before and after replacing <paramref name="old"/> in one of the files.</summary>
    private static Runs Edit(int file, string old, string edited) => Edit([First, Second, Unrelated], file, old, edited);

    private static Runs Edit(string[] sources, int file, string old, string edited)
    {
        var compilation = GeneratorHarness.Compile(sources);
        var driver = GeneratorHarness.Driver().RunGenerators(compilation);
        var before = Assert.Single(driver.GetRunResult().Results);

        var tree = compilation.SyntaxTrees[file];
        var text = tree.GetText();
        var start = text.ToString().IndexOf(old, StringComparison.Ordinal);
        Assert.True(start >= 0);
        var changed = compilation.ReplaceSyntaxTree(tree, tree.WithChangedText(text.WithChanges(new TextChange(new TextSpan(start, old.Length), edited))));
        var after = Assert.Single(driver.RunGenerators(changed).GetRunResult().Results);
        Assert.Null(after.Exception);
        return new Runs(before, after);
    }

    /// <summary>Unchanged (made again, equal) counts as Cached (not even made again): nothing behind it runs. A step that makes nothing is not tracked.</summary>
    private static IncrementalStepRunReason[] Reasons(Runs runs, string step) =>
    [
        .. runs.Now.TrackedSteps.GetValueOrDefault(step, [])
            .SelectMany(run => run.Outputs)
            .Select(output => output.Reason == IncrementalStepRunReason.Unchanged ? IncrementalStepRunReason.Cached : output.Reason),
    ];

    private static void AssertCached(Runs runs, string step) => Assert.All(Reasons(runs, step), reason => Assert.Equal(IncrementalStepRunReason.Cached, reason));

    private static void AssertNoOutputRan(Runs runs)
    {
        Assert.All(
            runs.Now.TrackedOutputSteps.SelectMany(step => step.Value).SelectMany(run => run.Outputs),
            output => Assert.Equal(IncrementalStepRunReason.Cached, output.Reason));
        Assert.Empty(ChangedFiles(runs));
    }

    /// <summary>Files that are new or have other text.</summary>
    private static string[] ChangedFiles(Runs runs)
    {
        var before = runs.Before.GeneratedSources.ToDictionary(source => source.HintName, source => source.SourceText.ToString());
        return
        [
            .. runs.Now.GeneratedSources
                .Where(source => !before.TryGetValue(source.HintName, out var text) || text != source.SourceText.ToString())
                .Select(source => source.HintName)
                .Order(StringComparer.Ordinal),
        ];
    }

    private sealed record Runs(GeneratorRunResult Before, GeneratorRunResult Now);
}
