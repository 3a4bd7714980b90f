using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Fossil.Generators.Tests;

/// <summary>Where a program can declare a name.</summary>
internal enum NameRole
{
    TopLevelVariable,
    TopLevelFunction,
    GlobalType,
    GenericGlobalType,
    GlobalNamespace,
    GlobalAlias,
    ExtensionMethod,
    FileType,
    TypeInTheModelsNamespace,
    NamespaceInTheModelsNamespace,
    TypeBesideTheLibrarys,
    EnclosingTypeParameter,
    NestedType,
    Field,
    Method,
    Target,
    DictionaryTarget,
    NamedClass,
    NamespacePart,
}

/// <summary>A program whose names are those of generated code, each in the role that it is given. It names what it uses in full, so that it compiles whatever it declares.</summary>
internal static class HostileProgram
{
    /// <summary>How many calls of the program run a target, whatever names it has.</summary>
    public const int Calls = 9;

    private const string CollectMethod = "CollectFossilAdapterTargets";

    // What the program needs itself; args belongs to top-level programs.
    private static readonly HashSet<string> Reserved =
        ["My", "Models", "Outer", "Attention", "Projection", "q_proj", "Out", "experts", "tasks", "custom", "forward", "call", "Run", "model", "args", "Own", "Extensions", "T", "global"];

    // A type of these names hides the library's namespace from the program itself.
    private static readonly HashSet<string> Roots = ["System", "Fossil", "TorchSharp"];

    /// <summary>Every identifier of generated code, and every keyword.</summary>
    public static readonly Lazy<string[]> Names = new(() =>
    {
        var generated = GeneratorHarness.Run(GeneratorHarness.Compile(Sources(new Dictionary<string, NameRole>()), usings: false));
        var emitted = generated.Files.Values.SelectMany(text => CSharpSyntaxTree.ParseText(text).GetRoot().DescendantTokens()).Where(token => token.IsKind(SyntaxKind.IdentifierToken)).Select(token => token.ValueText);
        var keywords = SyntaxFacts.GetReservedKeywordKinds().Concat(SyntaxFacts.GetContextualKeywordKinds()).Select(SyntaxFacts.GetText);
        return [.. emitted.Concat(keywords).Concat(["_", "var", "dynamic", "nameof", "nint", "nuint", "notnull", "unmanaged", "discard", "T0", "Forward0", "Call0"]).Distinct().Where(name => name.Length > 0 && (char.IsLetter(name[0]) || name[0] == '_')).Except(Reserved).Order(StringComparer.Ordinal)];
    });

    /// <summary>Whether the program still compiles by itself with the name in that role.</summary>
    public static bool Allows(NameRole role, string name) => role switch
    {
        // A type or alias of that name is what these words then mean, or may not be declared.
        NameRole.GlobalType or NameRole.GenericGlobalType or NameRole.GlobalAlias or NameRole.FileType => !Roots.Contains(name),
        NameRole.TypeBesideTheLibrarys => typeof(FossilVariant).Assembly.GetTypes().All(type => type.Namespace != "Fossil" || type.Name.Split('`')[0] != name) && name is not ("CompilerServices" or "Kernels" or "Generated"),
        // What the generated part calls its own method.
        NameRole.NamedClass => name != CollectMethod,
        NameRole.Field or NameRole.Method or NameRole.NestedType or NameRole.Target or NameRole.DictionaryTarget => !Members.Contains(name),
        _ => true,
    };

    private static readonly HashSet<string> Members =
        [.. typeof(TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>).GetMembers(System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.NonPublic).Select(member => member.Name), CollectMethod];

    public static string[] Sources(IReadOnlyDictionary<string, NameRole> roles)
    {
        string Each(NameRole role, Func<string, string> write) => string.Join(" ", roles.Where(pair => pair.Value == role).Select(pair => write("@" + pair.Key)));
        string[] Of(NameRole role) => [.. roles.Where(pair => pair.Value == role).Select(pair => "@" + pair.Key)];
        string List(NameRole role, string before, string separator, string after) => Of(role) is { Length: > 0 } names ? before + string.Join(separator, names) + after : "";

        var parameters = Of(NameRole.EnclosingTypeParameter) is { Length: > 0 } names ? names : ["T"];
        var arguments = string.Join(", ", parameters.Select(_ => "int"));
        var space = "My.Models" + List(NameRole.NamespacePart, ".", ".", "");
        var targets = string.Concat(roles.Where(pair => pair.Value is NameRole.Target or NameRole.DictionaryTarget).Select(pair => $", \"{pair.Key}\""));
        return
        [
            // The top-level program.
            $$"""
            {{Each(NameRole.GlobalAlias, name => $"global using {name} = global::System.Int32;")}}
            {{Each(NameRole.TopLevelVariable, name => $"int {name} = 1;")}}
            {{Each(NameRole.TopLevelFunction, name => $"void {name}() {{ }}")}}
            global::{{space}}.Outer<{{arguments}}>.Attention model = new global::{{space}}.Outer<{{arguments}}>.Attention();
            model.q_proj.forward(global::TorchSharp.torch.zeros(8)).Dispose();
            model.Out.call(global::TorchSharp.torch.zeros(8)).Dispose();
            {{Each(NameRole.GlobalType, name => $"class {name} {{ }}")}}
            {{Each(NameRole.GenericGlobalType, name => $"class {name}<T> {{ }}")}}
            {{Each(NameRole.GlobalNamespace, name => $"namespace {name} {{ class Own {{ }} }}")}}
            static class Extensions { {{Each(NameRole.ExtensionMethod, name => $"public static void {name}<T>(this T it, params object[] others) {{ }}")}} }
            namespace Fossil { {{Each(NameRole.TypeBesideTheLibrarys, name => $"class {name} {{ }}")}} }
            """,
            $$"""
            {{Each(NameRole.FileType, name => $"file class {name} {{ }}")}}
            namespace {{space}}
            {
                {{Each(NameRole.TypeInTheModelsNamespace, name => $"class {name} {{ }}")}}
                {{Each(NameRole.NamespaceInTheModelsNamespace, name => $"namespace {name} {{ class Own {{ }} }}")}}

                public class Projection<{{string.Join(", ", parameters)}}> : global::TorchSharp.torch.nn.Module<global::TorchSharp.torch.Tensor, global::TorchSharp.torch.Tensor>
                {
                    public Projection() : base("projection") { }
                    public override global::TorchSharp.torch.Tensor forward(global::TorchSharp.torch.Tensor x) => x;
                }

                public partial class Outer<{{string.Join(", ", parameters)}}>
                {
                    [global::Fossil.FossilAdapt("q_proj", "Out", "experts", "tasks", "custom"{{targets}}, ShardSize = 8, Dropout = 0.1)]
                    public partial class Attention : global::TorchSharp.torch.nn.Module<global::TorchSharp.torch.Tensor, global::TorchSharp.torch.Tensor>
                    {
                        public global::TorchSharp.Modules.Linear q_proj = null!;
                        public global::TorchSharp.Modules.Linear Out { get; } = null!;
                        public global::TorchSharp.Modules.ModuleList<global::TorchSharp.Modules.Linear> experts = null!;
                        public global::TorchSharp.Modules.ModuleDict<global::TorchSharp.Modules.Linear> tasks = null!;
                        public Projection<{{string.Join(", ", parameters)}}> custom = null!;
                        {{Each(NameRole.Target, name => $"public global::TorchSharp.Modules.Linear {name} = null!;")}}
                        {{Each(NameRole.DictionaryTarget, name => $"public global::TorchSharp.Modules.ModuleDict<global::TorchSharp.Modules.Linear> {name} = null!;")}}
                        {{Each(NameRole.Field, name => $"public int {name} = 1;")}}
                        {{Each(NameRole.Method, name => $"public void {name}() {{ }}")}}
                        {{Each(NameRole.NestedType, name => $"public class {name} {{ }}")}}

                        public Attention() : base("attention") { RegisterComponents(); }

                        public override global::TorchSharp.torch.Tensor forward(global::TorchSharp.torch.Tensor x) => this.q_proj.forward(this.Out.call(x));

                        public global::TorchSharp.torch.Tensor Run(global::TorchSharp.torch.Tensor x)
                        {
                            foreach (global::TorchSharp.Modules.Linear expert in this.experts) x = expert.forward(x);
                            return this.custom.forward(this.custom.call(this.tasks["x"].forward(this.experts[0].call(x))));
                        }
                        {{Each(NameRole.Target, name => $"public global::TorchSharp.torch.Tensor Run(global::TorchSharp.torch.Tensor x, {name}_ it) => this.{name}.forward(x); public class {name}_ {{ }}")}}
                    }
                }
                {{Each(NameRole.NamedClass, name => $$"""
                    [global::Fossil.FossilAdapt("own", Variant = global::Fossil.FossilVariant.Bat)]
                    partial class {{name}} : global::TorchSharp.torch.nn.Module { global::TorchSharp.Modules.Linear own = null!; {{name}}() : base("m") { RegisterComponents(); } }
                    """)}}
            }
            """,
        ];
    }
}
