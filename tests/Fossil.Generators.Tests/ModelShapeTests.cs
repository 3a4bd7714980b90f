using System.Reflection;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;

namespace Fossil.Generators.Tests;

/// <summary>
/// No model holds a symbol, syntax node, location or compilation, however deep: such a model never equals the next one, and keeps a whole compilation alive.
/// </summary>
public class ModelShapeTests
{
    /// <summary>The models of each pipeline step, and every record of the assemblies that could become part of one.</summary>
    public static TheoryData<Type> Models()
    {
        var records = typeof(AdaptedClass).Assembly.GetTypes().Concat(typeof(FossilGenerator).Assembly.GetTypes())
            .Where(type => type.IsClass && type.GetMethod("<Clone>$") is not null && !type.Namespace!.Contains("Widths"));
        return [.. records];
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void HoldsPlainValuesOnly(Type model) => AssertPlain(model, model.Name, []);

    [Theory]
    [MemberData(nameof(Models))]
    public void ComparesByValue(Type model) => Assert.Contains(typeof(IEquatable<>).MakeGenericType(model), model.GetInterfaces());

    [Fact]
    public void TrackedStepsHoldPlainValuesOnly()
    {
        var driver = GeneratorHarness.Driver().RunGenerators(GeneratorHarness.Compile(EmittedCodeTests.Attention));
        var steps = driver.GetRunResult().Results.Single().TrackedSteps;
        string[] names = [TrackingNames.Options, TrackingNames.AdaptedClasses, TrackingNames.SameNames, TrackingNames.ShardSizes, TrackingNames.CallSites];

        foreach (var name in names)
        {
            var outputs = steps[name].SelectMany(step => step.Outputs).ToList();
            Assert.NotEmpty(outputs);
            Assert.All(outputs, output => AssertPlain(output.Value.GetType(), name, []));
        }
    }

    private static void AssertPlain(Type type, string path, HashSet<Type> seen)
    {
        if (type.IsPrimitive || type.IsEnum || type == typeof(string) || type == typeof(decimal) || !seen.Add(type)) return;
        if (type.IsArray)
        {
            AssertPlain(type.GetElementType()!, path + "[]", seen);
            return;
        }
        Assert.False(type.Namespace?.StartsWith("Microsoft.CodeAnalysis", StringComparison.Ordinal) == true, $"{path} is a {type}");
        Assert.False(typeof(ISymbol).IsAssignableFrom(type) || typeof(SyntaxNode).IsAssignableFrom(type), $"{path} is a {type}");
        Assert.True(type.Namespace?.StartsWith("Fossil", StringComparison.Ordinal) == true, $"{path} is a {type}, which is no plain value");
        foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)) AssertPlain(field.FieldType, $"{path}.{field.Name}", seen);
    }
}
