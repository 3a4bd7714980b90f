using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Fossil.Compile.Benchmarks;

/// <summary>Where somebody types.</summary>
internal enum EditedPart
{
    /// <summary>In the body of a method.</summary>
    Body,

    /// <summary>In the name of a method.</summary>
    Method,

    /// <summary>In the name of a class.</summary>
    Class,
}

/// <summary>A large project: annotated classes in the style of a decoder's layers, a file each, and files without any.</summary>
internal static class GeneratedSolution
{
    private static readonly CSharpParseOptions Options =
        new CSharpParseOptions(LanguageVersion.CSharp14).WithFeatures([KeyValuePair.Create("InterceptorsNamespaces", "Fossil.Generated")]);

    /// <summary>Compiles <paramref name="annotated"/> annotated and <paramref name="ordinary"/> ordinary files.</summary>
    public static CSharpCompilation Create(int annotated, int ordinary)
    {
        var trees = Enumerable.Range(0, annotated).Select(number => Parse(Annotated(number, 0), $"Layer{number}.cs"))
            .Concat(Enumerable.Range(0, ordinary).Select(number => Parse(Ordinary(number, 0), $"Service{number}.cs")));
        return CSharpCompilation.Create("Large", trees, References(), new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable));
    }

    /// <summary>The parse options of every file.</summary>
    public static CSharpParseOptions ParseOptions => Options;

    /// <summary>The compilation after a user has typed in a file: another constant in a method, or another name of a method or class.</summary>
    public static CSharpCompilation Edit(CSharpCompilation compilation, string path, int edit, EditedPart part)
    {
        var old = compilation.SyntaxTrees.First(tree => tree.FilePath == path);
        var number = int.Parse(path.Where(char.IsDigit).ToArray(), System.Globalization.CultureInfo.InvariantCulture);
        var text = path.StartsWith("Layer", StringComparison.Ordinal) ? Annotated(number, edit) : Ordinary(number, edit);
        if (part == EditedPart.Method) text = text.Insert(text.LastIndexOf("public", StringComparison.Ordinal), $"public int Added{edit}() => 0;\n");
        if (part == EditedPart.Class) text += $"\npublic class Added{edit} {{ }}\n";
        return compilation.ReplaceSyntaxTree(old, Parse(text, path));
    }

    private static SyntaxTree Parse(string text, string path) => CSharpSyntaxTree.ParseText(text, Options, path);

    private static IEnumerable<MetadataReference> References()
    {
        var trusted = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
        return trusted.Where(path => Path.GetFileName(path) is var name && (name.StartsWith("System.", StringComparison.Ordinal) || name is "netstandard.dll" or "TorchSharp.dll" or "Fossil.dll"))
            .Select(path => MetadataReference.CreateFromFile(path));
    }

    private static string Annotated(int number, int edit) => $$"""
        using System; using Fossil; using TorchSharp; using TorchSharp.Modules; using static TorchSharp.torch; using static TorchSharp.torch.nn;
        namespace Large.Models;

        public record Config{{number}}(int Hidden = 2048, int Heads = 32) { public int HeadDim => Hidden / Heads; }

        [FossilAdapt("q_proj", "v_proj", ShardSize = {{16 << (number % 4)}})]
        public sealed partial class Layer{{number}} : Module<Tensor, Tensor>
        {
            private readonly Linear q_proj, k_proj, v_proj, o_proj;
            private readonly int heads;

            public Layer{{number}}(Config{{number}} config) : base(nameof(Layer{{number}}))
            {
                heads = config.Heads;
                q_proj = Linear(config.Hidden, config.Heads * config.HeadDim, hasBias: false);
                k_proj = Linear(config.Hidden, config.Heads * config.HeadDim, hasBias: false);
                v_proj = Linear(config.Hidden, config.Heads * config.HeadDim, hasBias: false);
                o_proj = Linear(config.Heads * config.HeadDim, config.Hidden, hasBias: false);
                RegisterComponents();
            }

            public override Tensor forward(Tensor x)
            {
                using var scope = NewDisposeScope();
                var (q, k, v) = (q_proj.forward(x), k_proj.forward(x), v_proj.forward(x));
                return o_proj.forward(functional.softmax(q.matmul(k.transpose(-1, -2)) * {{edit}}, -1).matmul(v)).MoveToOuterDisposeScope();
            }

            public static Layer{{number}} Create() => new(new Config{{number}} { Hidden = {{1024 * (1 + (number % 4))}} });
        }
        """;

    private static string Ordinary(int number, int edit) => $$"""
        using System; using System.Collections.Generic; using System.Linq;
        namespace Large.Services;

        public sealed class Service{{number}}
        {
            private readonly Dictionary<string, List<int>> items = new();
            public int Total => items.Values.Sum(list => list.Count);

            public void Add(string key, IEnumerable<int> values)
            {
                if (!items.TryGetValue(key, out var list)) items[key] = list = new List<int>();
                foreach (var value in values.Where(value => value % 3 != {{edit}})) list.Add(value * {{number}});
            }

            public string Describe(int most)
            {
                var parts = new List<string>();
                for (var index = 0; index < most; index++)
                {
                    foreach (var (key, list) in items) parts.Add($"{key}: {string.Join(", ", list.Take(index))}");
                }
                return string.Join(Environment.NewLine, parts);
            }
        }
        """;
}
