namespace Fossil.Generators.Tests;

/// <summary>Kernels for the sizes that <c>[assembly: FossilShardSizes]</c> names.</summary>
public class NamedShardSizesTests
{
    [Theory]
    [InlineData("[assembly: FossilShardSizes(8, 24)]", 8, 24)]
    [InlineData("[assembly: FossilShardSizes(24), FossilShardSizesAttribute(sizes: new[] { 8, 24 })]", 8, 24)]
    [InlineData("[assembly: Fossil.FossilShardSizes(Sizes.Small * 2)] static class Sizes { public const int Small = 4; }", 8)]
    [InlineData("using Named = Fossil.FossilShardSizesAttribute; [assembly: Named(5)]", 5)]
    [InlineData("[assembly: FossilShardSizes(0, -8, 65536, 65537)]", 65536)]
    [InlineData("[assembly: FossilShardSizes]")]
    [InlineData("[assembly: System.Reflection.AssemblyTitle(\"8\")]")]
    [InlineData("[assembly: Other(8)] class FossilShardSizes { } class OtherAttribute(int size) : Attribute { public int Size => size; }")]
    public void GetTheirKernels(string source, params int[] sizes)
    {
        var generated = GeneratorHarness.Run(source);

        Assert.Empty(generated.Problems);
        Assert.Equal(sizes.Select(size => $"ShardKernels{size}.g.cs").Order(StringComparer.Ordinal), generated.Files.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void AreEmittedOnceWithThoseOfTheClasses()
    {
        var generated = GeneratorHarness.Run(GeneratorHarness.Compile([EmittedCodeTests.Attention, "[assembly: FossilShardSizes(64, 16)]"]));

        Assert.Empty(generated.Problems);
        Assert.Equal(["ShardKernels16.g.cs", "ShardKernels64.g.cs"], generated.Files.Keys.Where(file => file.StartsWith("Shard", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("[assembly: FossilShardSizes(null)]")]
    [InlineData("[assembly: FossilShardSizes(\"8\", 2.5, default, Missing)]")]
    [InlineData("[assembly: FossilShardSizes(new[] { 8, }")]
    [InlineData("[assembly: FossilShardSizes(8")]
    [InlineData("[assembly: FossilShardSizes((int[])[8], Sizes.All)]")]
    public void WhatIsNoListOfNumbersDoesNotThrow(string source) => GeneratorHarness.Run(source);

    [Fact]
    public void AnAssemblyThatNamesVeryManyGetsKernelsForTheFirst()
    {
        var generated = GeneratorHarness.Run($"[assembly: FossilShardSizes({string.Join(", ", Enumerable.Range(1, 1000))})]");

        Assert.Equal(128, generated.Files.Count);
    }
}
