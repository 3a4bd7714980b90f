namespace Fossil.Models.Chat.Jinja;

/// <summary>How a statement ended.</summary>
internal enum Flow
{
    Next,
    Break,
    Continue,
}

/// <summary>A statement of a template.</summary>
/// <param name="Offset">Where it stands.</param>
internal abstract record Statement(int Offset)
{
    /// <summary>Runs it, writing to <paramref name="output"/>.</summary>
    public Flow Execute(Scope scope, Renderer renderer, MarkedTextBuilder output)
    {
        try
        {
            renderer.Context.Step();
            renderer.Context.CheckStack();
            var flow = Run(scope, renderer, output);
            renderer.Context.CheckLength(output.Length);
            return flow;
        }
        catch (JinjaError error)
        {
            throw renderer.Located(error, Offset);
        }
    }

    protected abstract Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output);
}

/// <summary>Statements one after the other.</summary>
internal sealed record Block(int Offset, IReadOnlyList<Statement> Statements) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output)
    {
        foreach (var statement in Statements)
        {
            if (statement.Execute(scope, renderer, output) is var flow and not Flow.Next) return flow;
        }

        return Flow.Next;
    }

    /// <summary>What the statements write.</summary>
    public MarkedText Capture(Scope scope, Renderer renderer)
    {
        var output = new MarkedTextBuilder();
        Execute(scope, renderer, output);
        return output.ToText();
    }
}

internal sealed record TextStatement(int Offset, string Text) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output)
    {
        output.Append(Text);
        return Flow.Next;
    }
}

internal sealed record PrintStatement(int Offset, IReadOnlyList<Expression> Values) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output)
    {
        foreach (var value in Values) output.Append(Python.Str(value.Evaluate(scope, renderer)));
        return Flow.Next;
    }
}

internal sealed record IfStatement(int Offset, IReadOnlyList<(Expression Test, Block Body)> Branches, Block? Else) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output)
    {
        foreach (var (test, body) in Branches)
        {
            if (Python.IsTrue(test.Evaluate(scope, renderer))) return body.Execute(scope, renderer, output);
        }

        return Else?.Execute(scope, renderer, output) ?? Flow.Next;
    }
}

internal sealed record ForStatement(int Offset, AssignmentTarget Target, Expression Items, Expression? Test, bool IsRecursive, Block Body, Block? Else) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output)
    {
        Loop(scope, renderer, output, Items.Evaluate(scope, renderer), depth: 0);
        return Flow.Next;
    }

    private void Loop(Scope scope, Renderer renderer, MarkedTextBuilder output, object items, int depth)
    {
        var elements = renderer.Context.Counted(Python.Iterate(items)).Where(item => Passes(item, scope, renderer)).ToList();
        var loop = new LoopContext(elements, depth, IsRecursive ? Recurse : null);

        // As Jinja: the else part runs where no iteration reached its end.
        var completed = false;
        while (loop.MoveNext())
        {
            var inner = new Scope(scope);
            inner.Set("loop", loop);
            Target.Assign(loop.Current, inner, renderer);
            var flow = Body.Execute(inner, renderer, output);
            if (flow == Flow.Break) break;
            completed |= flow == Flow.Next;
        }

        if (!completed) Else?.Execute(new Scope(scope), renderer, output);

        object Recurse(object next) => renderer.Context.Nested(() =>
        {
            var inner = new MarkedTextBuilder();
            Loop(scope, renderer, inner, next, depth + 1);
            return inner.ToText();
        });
    }

    private bool Passes(object item, Scope scope, Renderer renderer)
    {
        if (Test is null) return true;
        var inner = new Scope(scope);
        Target.Assign(item, inner, renderer);
        return Python.IsTrue(Test.Evaluate(inner, renderer));
    }
}

internal sealed record LoopControlStatement(int Offset, Flow Flow) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output) => Flow;
}

internal sealed record SetStatement(int Offset, AssignmentTarget Target, Expression Value) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output)
    {
        Target.Assign(Value.Evaluate(scope, renderer), scope, renderer);
        return Flow.Next;
    }
}

internal sealed record SetBlockStatement(int Offset, AssignmentTarget Target, FilterExpression? Filter, Block Body) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output)
    {
        var text = new MarkedTextBuilder();
        if (Body.Execute(new Scope(scope), renderer, text) is var flow and not Flow.Next) return flow;
        Target.Assign(Filter?.ApplyTo(text.ToText(), scope, renderer) ?? text.ToText(), scope, renderer);
        return Flow.Next;
    }
}

internal sealed record WithStatement(int Offset, IReadOnlyList<(AssignmentTarget Target, Expression Value)> Values, Block Body) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output)
    {
        var inner = new Scope(scope);
        foreach (var (target, value) in Values) target.Assign(value.Evaluate(scope, renderer), inner, renderer);
        return Body.Execute(inner, renderer, output);
    }
}

internal sealed record FilterStatement(int Offset, FilterExpression Filter, Block Body) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output)
    {
        var text = new MarkedTextBuilder();
        if (Body.Execute(new Scope(scope), renderer, text) is var flow and not Flow.Next) return flow;
        output.Append(Python.Str(Filter.ApplyTo(text.ToText(), scope, renderer)));
        return Flow.Next;
    }
}

internal sealed record MacroStatement(int Offset, MacroDefinition Definition) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output)
    {
        scope.Set(Definition.Name, new Macro(Definition, scope, renderer));
        return Flow.Next;
    }
}

internal sealed record CallStatement(int Offset, CallExpression Call, MacroDefinition Body) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output)
    {
        output.Append(Python.Str(Call.Call(scope, renderer, new Macro(Body, scope, renderer))));
        return Flow.Next;
    }
}

/// <summary>transformers' <c>generation</c>: what it writes is what the model is to learn.</summary>
internal sealed record GenerationStatement(int Offset, Block Body) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output)
    {
        var text = Body.Capture(new Scope(scope), renderer);
        for (var i = 0; i < text.Value.Length; i++)
            output.Append(text.Value[i], text.MarkAt(i) | MarkedText.GenerationBit | (i == 0 ? MarkedText.GenerationStartBit : 0));
        return Flow.Next;
    }
}

/// <summary>A named block: without inheritance, what stands in it.</summary>
internal sealed record NamedBlockStatement(int Offset, Block Body) : Statement(Offset)
{
    // A block sees the template's own names, not those of the loops around it.
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output) => Body.Execute(new Scope(renderer.Context.Root), renderer, output);
}

/// <summary>A template's <c>self</c>: its named blocks as functions.</summary>
internal sealed class NamedBlocks(IReadOnlyDictionary<string, NamedBlockStatement> blocks, Renderer renderer)
{
    public PythonFunction? Find(string name) => blocks.TryGetValue(name, out var block)
        ? new PythonFunction(name, arguments =>
        {
            arguments.BindNone(name);
            return renderer.Context.Nested(() =>
            {
                var output = new MarkedTextBuilder();
                block.Execute(renderer.Context.Root, renderer, output);
                return output.ToText();
            });
        })
        : null;
}

/// <summary><c>include</c>, <c>import</c>, <c>extends</c>: a chat template has no other templates to load.</summary>
internal sealed record LoadStatement(int Offset, string Tag) : Statement(Offset)
{
    protected override Flow Run(Scope scope, Renderer renderer, MarkedTextBuilder output) => throw JinjaError.Type($"'{Tag}' has no templates to load from: a chat template stands alone.");
}
