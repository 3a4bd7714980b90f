using Fossil.CodeModel;
using Fossil.Generators.CallSites;
using Microsoft.CodeAnalysis.Text;

namespace Fossil.Generators.Emission;

/// <summary>Writes the interceptors of one source file.</summary>
internal static class InterceptorEmitter
{
    public static SourceText Emit(FileCallSites file)
    {
        var writer = GeneratedFile.Begin($"Sends the calls of adaptable projections in {file.SourceName} through their adapters.");
        EmitAttribute(writer);
        writer.Line();
        using (writer.Block($"namespace {WellKnownNames.GeneratedNamespace}"))
        {
            // The run time finds the adapter by the identity of the target; one that has none runs its own code.
            using (writer.Block("file static class Interceptors"))
            {
                var groups = file.Interceptors.Select(interceptor => interceptor.Group).Where(group => group.Count > 0).Distinct().ToList();
                for (var index = 0; index < groups.Count; index++)
                {
                    writer.Comment("These read the same value, one behind the other: the first may compute what all of them share.");
                    var members = string.Join(", ", groups[index].Select(GeneratedFile.Literal));
                    writer.Line($"private static readonly {GeneratedFile.CompilerServices}.ProjectionGroup Group{index} = new({members});");
                    writer.Line();
                }

                for (var index = 0; index < file.Interceptors.Count; index++)
                {
                    if (index > 0) writer.Line();
                    EmitInterceptor(writer, file.Interceptors[index], index, groups.IndexOf(file.Interceptors[index].Group));
                }
            }
        }
        return writer.ToSourceText();
    }

    private static void EmitInterceptor(IndentedWriter writer, Interceptor interceptor, int index, int group)
    {
        foreach (var site in interceptor.Sites)
        {
            writer.Comment($"line {site.Line}: {site.Text}");
            writer.Line(site.LocationAttribute);
        }
        var shape = interceptor.Shape;
        // A module may declare that it takes null; the run time then says what is wrong.
        var input = shape.InputType.EndsWith("?", StringComparison.Ordinal) ? "input!" : "input";
        var dispatch = shape.Method == WellKnownNames.CallMethod ? "Call" : "Forward";
        writer.Line($"public static {shape.ResultType} {dispatch}{index}{shape.TypeParameters}(this {shape.TargetType} target, {shape.InputType} input){shape.Constraints} =>");
        writer.Line($"    {GeneratedFile.CompilerServices}.AdapterDispatch.{dispatch}(target, {input}{(group < 0 ? "" : $", Group{group}")});");
    }

    /// <summary>The compiler knows the attribute by name; a file-local copy collides with no other generator's.</summary>
    private static void EmitAttribute(IndentedWriter writer)
    {
        using (writer.Block("namespace System.Runtime.CompilerServices"))
        {
            writer.Line("[global::System.AttributeUsage(global::System.AttributeTargets.Method, AllowMultiple = true)]");
            using (writer.Block("file sealed class InterceptsLocationAttribute : global::System.Attribute"))
            {
                // No statement uses them: a simple name here may be a variable of the consumer's top-level program, even a discard.
                using (writer.Block("public InterceptsLocationAttribute(int version, string data)"))
                {
                }
            }
        }
    }
}
