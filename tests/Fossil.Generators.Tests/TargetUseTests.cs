using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.Generators.Tests;

/// <summary>The classification that the generator intercepts by and the analyzers report by: <c>/*Reason*/</c> stands before each use that is not covered.</summary>
public class TargetUseTests
{
    private const string Model = """
        [FossilAdapt("q_proj", "Out", "heads", "experts")]
        public partial class Attention : Module<Tensor, Tensor>
        {
            public Linear q_proj = Linear(8, 8);
            public Linear plain = Linear(8, 8);
            public Linear Out { get; set; } = Linear(8, 8);
            public Linear[] heads = [Linear(8, 8)];
            public ModuleList<Linear> experts = ModuleList(Linear(8, 8));
            public Attention() : base("attention") { RegisterComponents(); }
            public override Tensor forward(Tensor x) => x;
            BODY
        }
        """;

    /// <summary>A library that was compiled elsewhere.</summary>
    private static readonly Lazy<MetadataReference> Library = new(() =>
    {
        using var image = new MemoryStream();
        var library = GeneratorHarness.Compile("""
            namespace Library;
            public static class Runner
            {
                public static Tensor Run(Module<Tensor, Tensor> module, Tensor x) => module.forward(x);
                public static Tensor RunAll(IEnumerable<Module<Tensor, Tensor>> modules, Tensor x) => modules.Aggregate(x, (y, module) => module.forward(y));
                public static Tensor RunGeneric<T>(T module, Tensor x) where T : Module<Tensor, Tensor> => module.forward(x);
                public static Tensor RunNamed(Tensor x, params (string Name, Module<Tensor, Tensor> Module)[] modules) => modules[0].Module.forward(x);
                public static void Log(object value) { }
            }
            public class Block(Module<Tensor, Tensor>? layer = null)
            {
                public Module<Tensor, Tensor>? Layer { get; set; } = layer;
                public List<Module<Tensor, Tensor>> Layers { get; } = [];
            }
            public abstract class Factory { public abstract Module<Tensor, Tensor> Make(); }
            """);
        Assert.True(library.Emit(image).Success);
        return MetadataReference.CreateFromImage(image.ToArray());
    });

    public static TheoryData<string> NotCovered() =>
    [
        "Func<Tensor, Tensor> F() => /*MethodGroup*/q_proj.forward;",
        "Func<Tensor, Tensor> F() => new Func<Tensor, Tensor>(/*MethodGroup*/this.Out.forward);",
        "Tensor F(Tensor x) => G(/*MethodGroup*/heads[0].forward); Tensor G(Func<Tensor, Tensor> f) => f(ones(8));",
        "Func<Tensor, Tensor> F() { var p = q_proj; return /*MethodGroup*/p.forward; }",
        "IEnumerable<Func<Tensor, Tensor>> F() { foreach (var e in experts) yield return /*MethodGroup*/e.forward; }",
        "Tensor F(Tensor x) => Library.Runner.Run(this?./*PassedToAnotherAssembly*/q_proj!, x);",
        "Tensor F(Tensor x) => Library.Runner.RunGeneric(/*PassedToAnotherAssembly*/q_proj, x);",
        "Tensor F(Tensor x) => Library.Runner.RunNamed(x, (\"q\", /*PassedToAnotherAssembly*/q_proj));",
        "Tensor F(Tensor x) => Library.Runner.RunAll([/*PassedToAnotherAssembly*/q_proj, .. /*PassedToAnotherAssembly*/heads], x);",
        "void F(Library.Block block) => block.Layer = /*PassedToAnotherAssembly*/q_proj;",
        "void F() => _ = new Library.Block { Layer = /*PassedToAnotherAssembly*/q_proj };",
        "void F(Library.Block block) => block.Layers.Add(/*PassedToAnotherAssembly*/q_proj);",
        "class Made(Attention of) : Library.Factory { public override Module<Tensor, Tensor> Make() => /*PassedToAnotherAssembly*/of.q_proj; }",
        "class Based(Attention of) : Library.Block(/*PassedToAnotherAssembly*/of.q_proj);",
        "System.Linq.Expressions.Expression<Func<Tensor, Tensor>> F() => x => /*ExpressionTree*/q_proj.forward(x);",
        "Tensor F(Tensor x) => Library.Runner.Run(/*PassedToAnotherAssembly*/q_proj, x);",
        "Tensor F(Tensor x) => Library.Runner.RunAll(/*PassedToAnotherAssembly*/experts, x);",
        "Tensor F(Tensor x, bool b) => Library.Runner.Run(b ? /*PassedToAnotherAssembly*/q_proj : /*PassedToAnotherAssembly*/Out, x);",
        "object F(Tensor x) { dynamic p = /*Dynamic*/q_proj; return p.forward(x); }",
        "object F(Tensor x) => ((dynamic)/*Dynamic*/q_proj).forward(x);",
        "object? F() => /*Reflection*/typeof(Attention).GetField(\"q_proj\")!.GetValue(this);",
        "object? F() => /*Reflection*/GetType().GetProperty(nameof(Out));",
    ];

    public static TheoryData<string> Harmless() =>
    [
        "Tensor F(Tensor x) => q_proj.forward(x) + Out.call(x) + heads[0].forward(x);",
        "long F() => q_proj.weight.shape[0] + heads.Length + experts.Count;",
        "void F() { register_module(\"x\", q_proj); init.ones_(Out.weight); Out = Linear(8, 8); q_proj.eval(); q_proj.to(CPU); }",
        "Linear F() => q_proj; Linear G(bool b) { var p = b ? q_proj : Out; return p; } Linear[] H() => [q_proj, Out];",
        "Tensor F(Tensor x) => G(q_proj, x); static Tensor G(Linear p, Tensor x) => p.forward(x);",
        "string F() => nameof(q_proj) + nameof(q_proj.forward);",
        "bool F() => q_proj is null || ReferenceEquals(q_proj, Out);",
        "List<Linear> F() { var list = new List<Linear> { q_proj }; list.Add(Out); return list; } ModuleList<Linear> G() => ModuleList(q_proj, Out);",
        "void F() => Library.Runner.Log(q_proj); void G() => Console.WriteLine(q_proj);",
        "Func<Tensor, Tensor> F() => plain.forward; Module<Tensor, Tensor> G() => Sequential(plain);",
        "object? F() => typeof(Attention).GetField(\"plain\"); object? G() => typeof(string).GetField(\"q_proj\");",
        "Func<Tensor, Tensor> F() => x => q_proj.forward(x);",
        // Compiled code that uses call runs the hook that applies the adapters: so does every Sequential.
        "Module<Tensor, Tensor> F() => Sequential(q_proj, ReLU());",
        "Module<Tensor, Tensor> F() => Sequential((\"q\", q_proj), (\"r\", ReLU()));",
        "Module<Tensor, Tensor> F() => Sequential().append(this.Out); Module<Tensor, Tensor> G() => Sequential(heads);",
        "Func<Tensor, Tensor> F() => new Func<Tensor, Tensor>(this.Out.call); Func<Tensor, Tensor> G() { var p = q_proj; return p.call; }",
        "System.Linq.Expressions.Expression<Func<Tensor, Tensor>> F() => x => q_proj.call(x);",
        "object F(Tensor x) { dynamic p = q_proj; return p.call(x); } object G(Tensor x) => ((dynamic)q_proj).call(x);",
        "IEnumerable<Tensor> F(Tensor x) => heads.Select(head => head.forward(x));",
    ];

    [Theory]
    [MemberData(nameof(NotCovered))]
    public void WhatCannotBeRewiredSaysWhy(string body) => Assert.Equal(Marked(body), Found(body));

    [Theory]
    [MemberData(nameof(Harmless))]
    public void OtherUsesAreNotReported(string body) => Assert.Equal("", Found(body));

    [Fact]
    public void APrivateModuleTypeCannotBeNamed()
    {
        const string body = """
            [FossilAdapt("inner")]
            public partial class Nested() : Module("nested")
            {
                private class Own() : Module<Tensor, Tensor>("own") { public override Tensor forward(Tensor x) => x; }
                private readonly Own inner = new();
                Tensor F(Tensor x) => /*InaccessibleType*/inner.forward(x) + inner.call(x);
            }
            """;
        Assert.Equal(Marked(body), Found(body));
    }

    private static string Marked(string body) => string.Join(" ", body.Split("/*").Skip(1).Select(part => part.Split("*/")[0]));

    private static string Found(string body)
    {
        var compilation = GeneratorHarness.Compile([Model.Replace("BODY", body)], null, Library.Value);
        Assert.DoesNotContain(compilation.GetDiagnostics(), diagnostic => diagnostic.Severity == DiagnosticSeverity.Error);
        var index = TargetIndex.Of(compilation, CancellationToken.None)!;
        var tree = compilation.SyntaxTrees[0];
        var model = compilation.GetSemanticModel(tree);

        // As an analyzer sees them: every operation of every body, once.
        var uses = tree.GetRoot().DescendantNodes()
            .Where(node => node is ExpressionSyntax)
            .Select(node => model.GetOperation(node))
            .Where(operation => operation is not null)
            .Distinct()
            .Select(operation => TargetUse.Classify(operation!, index))
            .Where(use => use.Kind == TargetUseKind.NotCovered)
            .OrderBy(use => use.Operation.Syntax.SpanStart);
        return string.Join(" ", uses.Select(use => use.Reason));
    }
}
